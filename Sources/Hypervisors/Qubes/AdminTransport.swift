public import Platform

/// How calls reach qubesd.
public protocol AdminTransport: Sendable {
    /// Carries out all calls at a time and answers each, in their order.
    func perform(_ calls: [AdminCall], until deadline: Deadline) -> [Result<[UInt8], QubesError>]

    /// Begins a call that goes on: `admin.Events`.
    func open(_ call: AdminCall, until deadline: Deadline) throws(QubesError) -> AdminStream
}

/// The answer to a call that goes on, piece by piece.
public struct AdminStream: Sendable {
    private let descriptor: Descriptor
    private let companion: (any Sendable)?

    init(_ descriptor: Descriptor, keeping companion: (any Sendable)? = nil) {
        self.descriptor = descriptor
        self.companion = companion
    }

    /// Waits for more of it, and drops it: that something happened is all that counts. False when nothing more comes,
    /// in time or at all.
    public func next(until deadline: Deadline) throws(QubesError) -> Bool {
        do {
            guard try descriptor.wait(.readable, until: deadline) else { return false }
            return try !descriptor.read(upTo: 65_536).isEmpty
        } catch {
            throw QubesError(.unreachable, "qubesd's events cannot be read: \(error)")
        }
    }
}
