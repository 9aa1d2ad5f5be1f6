import Foundation
import Glibc
import Testing

@testable import Platform

/// Programs that are run to their end, with what they say.
struct ChildProcessTests {
    private func run(
        _ script: String, input: String = "", environment: [String] = [], limit: Int = 1 << 20,
        by deadline: Deadline = Deadline(after: .seconds(60))
    ) throws -> ChildProcess.Ending? {
        try ChildProcess.ending(
            of: "/bin/sh", ["-c", script, "x", "a b", "$(id)"], environment: environment, input: Array(input.utf8),
            limit: limit, by: deadline)
    }

    @Test(
        "A program gets its arguments as they are, its input and just that environment, and both outputs come apart"
    )
    func whole() throws {
        let ending = try #require(
            try run(
                "echo \"$1|$2\"; cat /dev/stdin; echo bad >&2; env; exit 3", input: "given", environment: ["A=1"]))
        #expect(ending.status == 3)
        let output = String(decoding: ending.output, as: UTF8.self)
        #expect(output.hasPrefix("a b|$(id)\ngiven"))
        #expect(output.contains("A=1\n") && !output.contains("HOME="))
        #expect(String(decoding: ending.error, as: UTF8.self) == "bad\n")
    }

    @Test("Of what a program says no more is taken than the limit, and it is told")
    func limit() throws {
        let ending = try #require(try run("head -c 100000 /dev/zero || exit 9", limit: 1000))
        #expect(ending.output.count <= 1000)
        #expect(ending.status == 9)
    }

    @Test("A program that does not end in time is ended")
    func late() throws {
        #expect(try run("exec sleep 1000", by: Deadline(after: .milliseconds(50))) == nil)
    }

    @Test("A program that is not there is told as such")
    func missing() {
        let error = #expect(throws: SystemCallError.self) {
            try ChildProcess.ending(of: "/nonexistent", [], environment: [], by: Deadline(after: .seconds(10)))
        }
        #expect(error?.isMissing == true)
    }

    @Test("It has nothing of ours open")
    func descriptors() throws {
        let own = try Descriptor.open("/proc/self/status")
        let ending = try #require(try run("readlink /proc/self/fd/*"))
        #expect(!String(decoding: ending.output, as: UTF8.self).contains("/status"))
        withExtendedLifetime(own) {}
    }

    @Test("One that writes for us is nobody else's child: who waits for any child does not come upon it")
    func apart() throws {
        let path = "/tmp/vmdev-test-fifo-\(getpid())-\(UInt64.random(in: 0...UInt64.max))"
        try #require(mkfifo(path, 0o600) == 0)
        defer { unlink(path) }
        let child = try ChildProcess.writing("text", to: path)
        let reader = try Descriptor.open(path)
        #expect(try child.process.waitForEnd(until: Deadline(after: .seconds(60))))
        var information = siginfo_t()
        let found = waitid(P_PID, id_t(child.process.pid), &information, WEXITED | WNOHANG | WNOWAIT)
        #expect(found == -1 && errno == ECHILD, "it has ended, and is not found")
        #expect(try child.status(by: Deadline(after: .seconds(60))) == 0)
        withExtendedLifetime(reader) {}
    }
}
