internal import Platform

/// What carries a conversation with QEMU.
protocol QMPChannel {
    /// The process at the other end, if that is known.
    var peer: ProcessHandle? { get }

    /// Sends whole lines, the first of them together with a copy of `passing`; answers false when the deadline came first.
    func send(_ bytes: [UInt8], passing: Descriptor?, until deadline: Deadline) throws(QMPError) -> Bool

    /// What has come, at most `count` bytes; nil when the deadline came first, empty when nothing more comes.
    func read(upTo count: Int, until deadline: Deadline) throws(QMPError) -> [UInt8]?
}

/// A socket of QEMU's own.
struct QMPStream: QMPChannel {
    let socket: UnixSocket

    var peer: ProcessHandle? { socket.peer() }

    func send(_ bytes: [UInt8], passing: Descriptor?, until deadline: Deadline) throws(QMPError) -> Bool {
        do { return try socket.send(bytes, passing: passing, until: deadline) } catch { throw lost(error) }
    }

    func read(upTo count: Int, until deadline: Deadline) throws(QMPError) -> [UInt8]? {
        do { return try socket.read(upTo: count, until: deadline) } catch { throw lost(error) }
    }

    private func lost(_ error: SystemCallError) -> QMPError {
        .transport("the connection was lost (\(error.reason))")
    }
}
