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

    /// Can be read, as poll(2) says it, when there is more of it, or its end.
    public var rawDescriptor: Int32 { descriptor.raw }

    /// Drops all that has come, without waiting; answers whether anything had, and nil at its end.
    public func take() throws(QubesError) -> Bool? {
        let now = Deadline(after: .zero)
        var isNews = false
        do {
            while try descriptor.wait(.readable, until: now) {
                guard try !descriptor.read(upTo: 65_536).isEmpty else { return isNews ? true : nil }
                isNews = true
            }
            return isNews
        } catch {
            throw QubesError(.unreachable, "qubesd's events cannot be read: \(error)")
        }
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
