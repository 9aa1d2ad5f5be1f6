internal import CLinux
internal import Glibc

/// A process that does for us what may take for ever in the kernel, so that we can stop waiting for it.
public struct ChildProcess: ~Copyable {
    let process: ProcessHandle

    /// Starts one that writes to a file that is there, such as an attribute below /sys; its status is the error number
    /// of errno(3). It holds nothing that we hold.
    public static func writing(_ text: String, to path: String) throws(SystemCallError) -> ChildProcess {
        let bytes = Array(text.utf8)
        var pid: Int32 = 0
        let code = unsafe bytes.withUnsafeBytes { buffer in
            unsafe vmdev_start_writer(path, buffer.baseAddress, buffer.count, &pid)
        }
        guard code == 0 else { throw SystemCallError("start a process to write", path, code: code) }
        return try ChildProcess(pid)
    }

    /// Reads an attribute below /sys, at most a page of it; nil when the deadline came first.
    public static func contents(of path: String, by deadline: Deadline) throws(SystemCallError) -> [UInt8]? {
        var ends: [Int32] = [-1, -1]
        guard unsafe pipe(&ends) == 0, let reading = ends.first, let writing = ends.last else {
            throw SystemCallError("make a pipe to read", path, code: errno)
        }
        let (input, output) = (Descriptor(owning: reading), Descriptor(owning: writing))
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        var pid: Int32 = 0
        let code = unsafe vmdev_start_reader(path, output.raw, &pid)
        guard code == 0 else { throw SystemCallError("start a process to read", path, code: code) }
        guard let status = try ChildProcess(pid).status(by: deadline) else { return nil }
        guard status == 0 else { throw SystemCallError("read", path, code: status) }
        // All of it is in the pipe; with nothing in it a read would wait for the end that we hold ourselves.
        return try input.wait(.readable, until: Deadline(after: .zero)) ? try input.read(upTo: 4096) : []
    }

    /// Starts a program with one argument; what it says goes nowhere.
    public static func running(_ program: String, _ argument: String) throws(SystemCallError) -> ChildProcess {
        var pid: Int32 = 0
        let code = unsafe vmdev_start_program(program, argument, &pid)
        guard code == 0 else { throw SystemCallError("run", program, code: code) }
        return try ChildProcess(pid)
    }

    init(_ pid: Int32) throws(SystemCallError) {
        guard let process = ProcessHandle(pid: pid) else {
            throw SystemCallError("watch", "process \(pid)", code: vmdev_pidfd_open(pid))
        }
        self.process = process
    }

    /// Waits for its end and answers its status; nil when the deadline came first. Then it is killed, which one that
    /// hangs in the kernel does not notice: it is left behind.
    public consuming func status(by deadline: Deadline) throws(SystemCallError) -> Int32? {
        guard try process.waitForEnd(until: deadline) else {
            try? process.kill()
            // One that merely waits is gone at once, or as soon as a loaded machine comes to it, and leaves no trace then.
            guard try process.waitForEnd(until: Deadline(after: .seconds(1))) else { return nil }
            var status: Int32 = 0
            _ = unsafe vmdev_reap(process.pid, &status)
            return nil
        }
        var status: Int32 = 0
        let code = unsafe vmdev_reap(process.pid, &status)
        guard code == 0 else { throw SystemCallError("wait for", "process \(process.pid)", code: code) }
        return status
    }
}
