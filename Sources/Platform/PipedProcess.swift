internal import CLinux
internal import Glibc
internal import Synchronization

/// A program that reads what it is sent and answers on its standard output; what it says on standard error goes nowhere.
/// With the last reference it is ended.
public final class PipedProcess: Sendable {
    /// What it answers, up to its end.
    public let output: Descriptor
    private let process: ProcessHandle
    private let ended = Mutex<Int32?>(nil)

    /// The most that can be sent, in bytes: it has to fit into a socket, because nobody reads the answer meanwhile.
    public static let maximumInput = 32_768

    /// Starts `program` with at most 15 arguments, sends it `input`, and then the end of it.
    public init(_ program: String, _ arguments: [String], sending input: [UInt8]) throws(SystemCallError) {
        guard input.count <= PipedProcess.maximumInput else {
            throw SystemCallError("send to", program, code: EFBIG)
        }
        let (theirInput, ourInput) = try ends(ofSocket: true)
        let (ourOutput, theirOutput) = try ends(ofSocket: false)
        var words: [UInt8] = []
        for argument in arguments { words += Array(argument.utf8) + [0] }
        var pid: Int32 = 0
        let code = unsafe words.withUnsafeBytes { buffer in
            unsafe vmdev_start_piped(
                program, buffer.baseAddress, buffer.count, theirInput.raw, theirOutput.raw, &pid)
        }
        guard code == 0 else { throw SystemCallError("run", program, code: code) }
        guard let process = ProcessHandle(pid: pid) else {
            throw SystemCallError("watch", "process \(pid)", code: vmdev_pidfd_open(pid))
        }
        self.process = process
        output = ourOutput
        // One that does not read has ended or will be found out by its answer.
        do { _ = try UnixSocket(ourInput).send(input, until: Deadline(after: .seconds(5))) } catch {
            guard error.code == EPIPE || error.code == ECONNRESET else { throw error }
        }
    }

    deinit {
        if (try? status(by: Deadline(after: .zero))) ?? nil == nil {
            try? process.kill()
            _ = try? status(by: Deadline(after: .seconds(1)))
        }
    }

    /// Its exit status, once it has ended; nil when the deadline came first.
    public func status(by deadline: Deadline) throws(SystemCallError) -> Int32? {
        try ended.withLock { known throws(SystemCallError) in
            if let known { return known }
            guard try process.waitForEnd(until: deadline) else { return nil }
            var status: Int32 = 0
            let code = unsafe vmdev_reap(process.pid, &status)
            guard code == 0 else { throw SystemCallError("wait for", "process \(process.pid)", code: code) }
            known = status
            return status
        }
    }
}

/// A pipe, or a pair of sockets: to write to one that nobody reads is an error then, and not a signal that ends us.
private func ends(ofSocket: Bool) throws(SystemCallError) -> (Descriptor, Descriptor) {
    var ends: [Int32] = [-1, -1]
    let code = unsafe ofSocket ? vmdev_socket_pair(&ends) : vmdev_pipe(&ends)
    guard code == 0, let first = ends.first, let last = ends.last else {
        throw SystemCallError("make", "a pipe", code: code)
    }
    return (Descriptor(owning: first), Descriptor(owning: last))
}
