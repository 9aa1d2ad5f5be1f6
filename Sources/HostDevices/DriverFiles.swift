internal import Platform

/// The kernel's files by which drivers change hands. Whoever uses one may be kept waiting for ever: the kernel holds a
/// lock of the device while a driver lets go of it.
protocol DriverFiles: Sendable {
    /// Writes to a file that is there; answers false when the deadline came first.
    func write(_ text: String, to path: String, by deadline: Deadline) throws(SystemCallError) -> Bool

    /// Reads a file; nil when the deadline came first.
    func read(_ path: String, by deadline: Deadline) throws(SystemCallError) -> String?
}

/// The real ones. Each access is a process of its own, which is left behind when it hangs.
struct KernelDriverFiles: DriverFiles {
    func write(_ text: String, to path: String, by deadline: Deadline) throws(SystemCallError) -> Bool {
        guard let status = try ChildProcess.writing(text, to: path).status(by: deadline) else { return false }
        guard status == 0 else { throw SystemCallError("write", path, code: status) }
        return true
    }

    func read(_ path: String, by deadline: Deadline) throws(SystemCallError) -> String? {
        try ChildProcess.contents(of: path, by: deadline).map { String(decoding: $0, as: UTF8.self) }
    }
}
