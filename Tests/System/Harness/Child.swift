import Foundation
import Glibc
import Platform

/// A process of ours: started at once, and gone when the last reference goes.
final class Child {
    /// Its process id.
    let pid: pid_t
    /// Its standard output; the end of the file is the end of the process.
    private let output: Descriptor
    /// Where its standard error goes, so that neither stream can block it.
    private let errors: Descriptor
    /// How it ended. It is reaped at once and by a thread of its own, so that no zombie is ever there for long: those who
    /// wait for any child (the test library does) would come upon it again and again.
    private let ending = Box<Int32>()
    private let process: ProcessHandle
    private var status: Int32?
    private var collected: [UInt8] = []

    /// What a process answered.
    struct Outcome: CustomStringConvertible {
        /// The exit status, or 128 and the signal's number, as shells count.
        let status: Int32
        let output: String
        let errors: String

        var description: String { "status \(status)\n--- output\n\(output)--- errors\n\(errors)---" }
    }

    /// Starts `program`, looked up in PATH unless it is a path, with nothing on its standard input, and `passing` as
    /// its descriptor 3.
    init(
        _ program: String, _ arguments: [String], calledAs name: String? = nil, passing: Descriptor? = nil
    ) throws {
        let theirs: Descriptor
        (output, theirs) = try connectedPair()
        let path = temporaryPath("errors")
        let errors = try Descriptor.open(path, [.readWrite, .create, .exclusive], mode: 0o600)
        self.errors = errors
        unlink(path)

        let words = [name ?? program] + arguments
        let (result, pid) = Spawner.shared.perform {
            spawn(program, words, output: theirs, errors: errors, passing: passing)
        }
        guard result == 0, let process = ProcessHandle(pid: pid) else {
            throw Failure("cannot start \(program): errno \(result)")
        }
        self.pid = pid
        self.process = process
        Thread.detachNewThread { [ending] in
            var raw: Int32 = 0
            while waitpid(pid, &raw, 0) < 0 && errno == EINTR {}
            ending.fill(raw)
        }
    }

    deinit { kill() }

    /// Waits for its end and tells all it said; a process that outlives the time is killed, and that is an error.
    func finish(within time: Duration = .seconds(300)) throws -> Outcome {
        let deadline = Deadline(after: time)
        while try readOutput(until: deadline) {}
        reap()
        lseek(errors.raw, 0, SEEK_SET)
        return Outcome(
            status: status ?? -1, output: String(decoding: collected, as: UTF8.self),
            errors: String(decoding: try errors.readAll(limit: 1 << 20), as: UTF8.self))
    }

    /// Waits until its output holds `text`, and tells all there is.
    func output(upTo text: String, within time: Duration) throws -> String {
        let deadline = Deadline(after: time)
        while true {
            let soFar = String(decoding: collected, as: UTF8.self)
            if soFar.contains(text) { return soFar }
            guard try readOutput(until: deadline) else { throw Failure("ended without '\(text)' in:\n\(soFar)") }
        }
    }

    /// Pulls the plug (SIGKILL) and waits until it has gone.
    func kill() {
        guard status == nil else { return }
        try? process.kill()
        reap()
    }

    /// Answers false at the end.
    private func readOutput(until deadline: Deadline) throws -> Bool {
        guard try output.wait(.readable, until: deadline) else {
            kill()
            throw Failure("process \(pid) took too long; it said:\n\(String(decoding: collected, as: UTF8.self))")
        }
        let bytes = try output.read(upTo: 65_536)
        collected += bytes
        return !bytes.isEmpty
    }

    private func reap() {
        guard status == nil else { return }
        let raw = ending.value
        status = raw & 0x7f == 0 ? (raw >> 8) & 0xff : 128 + (raw & 0x7f)
    }
}

/// Runs a program to its end.
@discardableResult
func run(_ program: String, _ arguments: [String], calledAs name: String? = nil) throws -> Child.Outcome {
    try Child(program, arguments, calledAs: name).finish()
}

/// Runs a tool of the host that has to succeed, and answers its output without the last newline.
@discardableResult
func tool(_ program: String, _ arguments: [String]) throws -> String {
    let outcome = try run(program, arguments)
    guard outcome.status == 0 else { throw Failure("\(program) \(arguments.joined(separator: " ")): \(outcome)") }
    return outcome.output.trimmingCharacters(in: .newlines)
}

/// posix_spawnp(3) with the descriptors in their places; answers its error number or 0, and the process id.
private func spawn(
    _ program: String, _ words: [String], output: Descriptor, errors: Descriptor, passing: Descriptor?
) -> (result: Int32, pid: pid_t) {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_adddup2(&actions, output.raw, 1)
    posix_spawn_file_actions_adddup2(&actions, errors.raw, 2)
    if let passing { posix_spawn_file_actions_adddup2(&actions, passing.raw, 3) }
    let environment = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"]
    var arguments = words.map { strdup($0) } + [nil]
    var variables = environment.map { strdup($0) } + [nil]
    defer { (arguments + variables).forEach { free($0) } }
    var pid: pid_t = 0
    let result = posix_spawnp(&pid, program, &actions, nil, &arguments, &variables)
    return (result, pid)
}

/// Two connected sockets; both are closed on exec, or another child started at this moment would keep one open.
func connectedPair() throws -> (Descriptor, Descriptor) {
    var ends: [Int32] = [-1, -1]
    guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue) | 0o2_000_000, 0, &ends) == 0 else {
        throw Failure("socketpair: errno \(errno)")
    }
    return (Descriptor(owning: ends[0]), Descriptor(owning: ends[1]))
}

/// Why the harness could not do its part.
struct Failure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// A path that nobody else uses.
func temporaryPath(_ purpose: String) -> String {
    "/tmp/vmdev-test-\(purpose)-\(getpid())-\(UInt64.random(in: 0...UInt64.max))"
}

/// The same, with the arguments one by one.
@discardableResult
func tool(_ program: String, _ arguments: String...) throws -> String { try tool(program, arguments) }
