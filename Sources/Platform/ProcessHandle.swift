internal import CLinux

/// One process, told apart from a later one with the same number (pidfd_open(2)).
public struct ProcessHandle: Sendable {
    /// Its number.
    public let pid: Int32
    let descriptor: Descriptor

    /// Gets hold of a process that is there now; nil for one that is not, or is not ours to see.
    public init?(pid: Int32) {
        let result = vmdev_pidfd_open(pid)
        guard result >= 0 else { return nil }
        self.pid = pid
        descriptor = Descriptor(owning: result)
    }

    /// Waits until it has ended; answers false when the deadline came first.
    public func waitForEnd(until deadline: Deadline) throws(SystemCallError) -> Bool {
        try descriptor.wait(.readable, until: deadline)
    }

    /// Ends it at once (SIGKILL).
    public func kill() throws(SystemCallError) {
        let result = vmdev_pidfd_kill(descriptor.raw)
        guard result == 0 else { throw SystemCallError("end", "process \(pid)", code: result) }
    }
}
