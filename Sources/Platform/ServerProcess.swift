internal import CLinux
internal import Glibc

/// A program that serves one device to somebody else, as long as this lives.
public struct ServerProcess: ~Copyable {
    private let process: ProcessHandle

    /// Starts `program`, looked up among the system's. `socket` becomes its descriptor 3 as systemd passes one
    /// (sd_listen_fds(3)), `device` its descriptor 4; it has no other of ours. What it says goes to our standard error.
    public init(
        _ program: String, _ arguments: [String], socket: Descriptor, device: Descriptor
    ) throws(SystemCallError) {
        var words = unsafe ([program] + arguments).map { unsafe strdup($0) } + [nil]
        defer { unsafe words.forEach { unsafe free($0) } }
        var pid: Int32 = 0
        let code = unsafe vmdev_start_server(&words, socket.raw, device.raw, &pid)
        guard code == 0 else { throw SystemCallError("run", program, code: code) }
        guard let process = ProcessHandle(pid: pid) else {
            throw SystemCallError("watch", "process \(pid)", code: vmdev_pidfd_open(pid))
        }
        self.process = process
    }

    /// Readable once it has ended.
    public var end: Descriptor { process.descriptor }

    /// Whether a program of that name is among the system's.
    public static func isInstalled(_ program: String) -> Bool {
        ["/usr/sbin", "/usr/bin", "/sbin", "/bin"].contains { unsafe access("\($0)/\(program)", X_OK) == 0 }
    }

    /// One that does not go is in the kernel, and goes when that lets it.
    deinit {
        try? process.kill()
        guard (try? process.waitForEnd(until: Deadline(after: .seconds(5)))) == true else { return }
        var status: Int32 = 0
        _ = unsafe vmdev_reap(process.pid, &status)
    }
}
