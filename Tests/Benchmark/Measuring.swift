import Foundation
import Glibc

/// What one run of a program took.
struct Cost {
    /// In microseconds, from before its start until it was waited for.
    let wall: Double
}

struct Failure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

private let environment = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"]

/// A program that was started and not waited for.
struct Running {
    let pid: pid_t
    let words: [String]
    private let begin: UInt64

    /// Starts it with nothing to read; what it says is dropped, or goes into a file.
    init(_ words: [String], output: String = "/dev/null") throws {
        self.words = words
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        var arguments = words.map { strdup($0) } + [nil]
        var variables = environment.map { strdup($0) } + [nil]
        defer { (arguments + variables).forEach { free($0) } }
        var pid: pid_t = 0
        begin = now()
        let result = posix_spawnp(&pid, words[0], &actions, nil, &arguments, &variables)
        guard result == 0 else { throw Failure("\(words[0]) cannot be started: errno \(result)") }
        self.pid = pid
    }

    /// Waits for its end; one that does not end with `status` is no measurement.
    func end(_ statuses: Set<Int32> = [0]) throws -> Cost {
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0 {
            guard errno == EINTR else { throw Failure("\(words[0]): errno \(errno)") }
        }
        let wall = Double(now() - begin) / 1000
        guard status & 0x7f == 0, statuses.contains((status >> 8) & 0xff) else {
            throw Failure("\(words.joined(separator: " ")) ended with \(status)")
        }
        return Cost(wall: wall)
    }

    func kill() {
        Glibc.kill(pid, SIGKILL)
        waitpid(pid, nil, 0)
    }
}

/// Runs a program; one that fails is run no further, and what it said is told.
@discardableResult
func run(_ words: [String], _ statuses: Set<Int32> = [0]) throws -> Cost {
    let output = "/tmp/vmdev-bench-\(getpid())"
    defer { unlink(output) }
    do { return try Running(words, output: output).end(statuses) } catch {
        throw Failure("\(error)\n\((try? String(contentsOfFile: output, encoding: .utf8)) ?? "")")
    }
}

/// What it prints.
func output(of words: [String]) throws -> String {
    let path = "/tmp/vmdev-bench-output-\(getpid())"
    defer { unlink(path) }
    _ = try Running(words, output: path).end()
    return try String(contentsOfFile: path, encoding: .utf8).trimmingCharacters(in: .whitespacesAndNewlines)
}

/// Nanoseconds of a clock that nobody sets.
func now() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}

func median(_ values: [Double]) -> Double {
    let sorted = values.sorted()
    guard !sorted.isEmpty else { return .nan }
    return (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
}
