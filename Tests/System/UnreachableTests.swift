import Testing

@Suite("A monitor that is not what it should be", needsWholeHost)
struct UnreachableTests {
    let host: ScratchHost
    let disk: LoopDisk
    init() throws {
        host = try ScratchHost()
        disk = try LoopDisk()
        try host.assign("work block dom0:\(disk.port) required -")
        try host.write("/etc/vmdev/vmdev.conf", "[QEMU]\nQMPTimeoutSec=1s\n")
    }

    struct Case: CustomTestStringConvertible {
        let testDescription: String
        let manner: FakeMonitor.Manner
        let statuses: Set<Int32>

        init(_ description: String, _ manner: FakeMonitor.Manner, _ statuses: Set<Int32>) {
            testDescription = description
            self.manner = manner
            self.statuses = statuses
        }
    }

    static let cases = [
        Case("silent", .silent, [75]),
        Case("garbage for a greeting", .says(["HTTP/1.1 400 Bad Request\r\n\r\n\u{0}\u{1b}[2J\n"]), [74]),
        Case("a greeting without an end", .says([#"{"QMP": {"version": "#]), [74, 75]),
        Case("closed before the greeting", .says([""]), [74, 75]),
        Case("closed after the greeting", .says([FakeMonitor.greeting]), [74, 75]),
        Case(
            "closed after the capabilities", .says([FakeMonitor.greeting, "{\"return\": {}, \"id\": 1}\n"]),
            [74, 75]),
        Case("garbage for an answer", .says([FakeMonitor.greeting, "{\"return\": \n", "]]\n"]), [74, 75]),
        Case("a line that never ends", .says([String(repeating: "x", count: 80 << 20)]), [74, 75]),
    ]

    @Test("It is told in plain words, naming VM and socket, and no terminal codes get through", arguments: cases)
    func told(_ example: Case) throws {
        let fake = try FakeMonitor(example.manner, insteadOf: "work", on: host)
        let outcome = try withExtendedLifetime(fake) { try host.apply("work", "--boot") }
        #expect(example.statuses.contains(outcome.status), "\(outcome)")
        #expect(outcome.errors.contains("work"))
        #expect(outcome.errors.contains("/run/vmdev/qmp/work.sock"))
        #expect(!outcome.errors.unicodeScalars.contains { $0.value < 0x20 && $0 != "\n" })
        #expect(try host.heldLocks().isEmpty)
    }

    @Test("No monitor at all: the start fails after QMPTimeoutSec=, with the path that was tried")
    func nobody() throws {
        let outcome = try host.apply("work", "--boot")
        #expect(outcome.status == 75, "\(outcome)")
        #expect(outcome.errors.contains("/run/vmdev/qmp/work.sock"))
    }
}
