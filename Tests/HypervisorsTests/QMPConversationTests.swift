import Devices
import Foundation
import Platform
import TestSupport
import Testing

@testable import Hypervisors

/// What a user is told when the other end of a QMP socket is not a QEMU that behaves.
@Suite struct QMPConversationTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// A peer that goes wrong, and what is said of it.
    struct Failure: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let script: [ScriptedPeer.Step]
        let kind: HypervisorError.Kind
        let says: String
    }

    static let failures = [
        Failure(
            testDescription: "silence", script: [.silence], kind: .unreachable,
            says: "probably another program holds this QMP socket"),
        Failure(
            testDescription: "garbage", script: [.send("\u{1B}[31mgarbage\n"), .silence], kind: .notUnderstood,
            says: "does not speak QMP: QEMU sent a line that is not JSON: '?[31mgarbage'"),
        Failure(
            testDescription: "human monitor",
            script: [.send("QEMU 7.2.22 monitor - type 'help' for more information\r\n(qemu) "), .silence],
            kind: .notUnderstood, says: "start QEMU with -qmp, not with -monitor"),
        Failure(
            testDescription: "half a line", script: [.send("{\"QMP\": {\"ver")], kind: .notUnderstood,
            says: "half a message, then it closed the connection: '{\"QMP\": {\"ver'"),
        Failure(
            testDescription: "closed at once", script: [], kind: .unreachable, says: "it closed the connection"),
        Failure(
            testDescription: "another protocol", script: [.send("{\"hello\": 1}\n"), .silence],
            kind: .notUnderstood, says: "a message of no known kind"),
        Failure(
            testDescription: "a reply instead of a greeting", script: [.send("{\"return\": {}}\n"), .silence],
            kind: .notUnderstood, says: "something other than a greeting"),
        Failure(
            testDescription: "endless line", script: [.flood(17 << 20), .silence], kind: .notUnderstood,
            says: "more than 2 MiB without the end of a line"),
        Failure(
            testDescription: "bottomless JSON",
            script: [.send(String(repeating: "[", count: 100_000) + "\n"), .silence], kind: .notUnderstood,
            says: "a line that is not JSON"),
        Failure(
            testDescription: "no capabilities",
            script: [
                .greeting,
                .answer("{\"error\": {\"class\": \"GenericError\", \"desc\": \"no\\u001b[31m\"}, \"id\": ID}\n"),
                .answer("{\"return\": {}, \"id\": ID}\n"), .silence,
            ], kind: .refused, says: "QEMU says 'no?[31m'"),
        Failure(
            testDescription: "another VM", script: [.handshake("other"), .silence], kind: .wrongVM,
            says: "VM work: the QEMU at"),
        Failure(
            testDescription: "another VM, named", script: [.handshake("other"), .silence], kind: .wrongVM,
            says: "is VM other"),
    ]

    @Test("A peer that is no QEMU of ours is told apart, with the reason", arguments: failures)
    func noConnection(failure: Failure) throws {
        let peer = peer(failure.script)
        // Only silence lasts until the deadline.
        let deadline = Deadline(after: failure.testDescription == "silence" ? .milliseconds(50) : .seconds(120))
        let error = #expect(throws: HypervisorError.self) {
            try folder.qemu.connect(to: VMName("work"), until: deadline, waiting: true)
        }
        #expect(error?.kind == failure.kind)
        #expect(error?.description.contains(failure.says) == true, "\(error.map(\.description) ?? "no error")")
        withExtendedLifetime(peer) {}
    }

    @Test("A QEMU without -name is taken for the VM of its socket")
    func unnamed() throws {
        let vm = try connect(.handshake(nil), .answer("{\"return\": {\"status\": \"prelaunch\"}, \"id\": ID}\n"))
        #expect(try vm.state() == .notStarted)
    }

    @Test(
        "QEMU's word for a state is understood",
        arguments: [
            ("prelaunch", VMState.notStarted), ("running", .running), ("paused", .paused("paused")),
            ("io-error", .paused("io-error")), ("suspended", .paused("suspended")),
            ("inmigrate", .paused("inmigrate")), ("shutdown", .ended("shutdown")),
            ("internal-error", .ended("internal-error")), ("guest-panicked", .ended("guest-panicked")),
        ])
    func states(word: String, state: VMState) throws {
        let vm = try connect(.handshake("work"), .answer("{\"return\": {\"status\": \"\(word)\"}, \"id\": ID}\n"))
        #expect(try vm.state() == state)
    }

    @Test("Events before the reply do not get in its way")
    func events() throws {
        let event = "{\"event\": \"RESUME\", \"timestamp\": {\"seconds\": 1, \"microseconds\": 2}}\r\n"
        let vm = try connect(
            .handshake("work"),
            .answer(
                String(repeating: event, count: 1000) + "{\"return\": {\"status\": \"running\"}, \"id\": ID}\r\n"))
        #expect(try vm.state() == .running)
    }

    /// An answer that goes wrong.
    static let answers: [(ScriptedPeer.Step?, HypervisorError.Kind, String)] = [
        (.answer("{\"return\": {}, \"id\": 77}\n"), .notUnderstood, "a reply that nobody asked for"),
        (.answer("{\"return\": {}}\n"), .notUnderstood, "a reply that nobody asked for"),
        (
            .answer("{\"error\": {\"class\": \"GenericError\", \"desc\": \"not now\"}, \"id\": ID}\n"), .refused,
            "VM work, asked for its state: QEMU says 'not now'"
        ),
        (
            .answer("{\"return\": {}, \"id\": ID}\n"), .notUnderstood,
            "QEMU sent an answer whose 'status' is missing"
        ),
        (
            .answer("{\"return\": {\"status\": 3}, \"id\": ID}\n"), .notUnderstood,
            "'status' is missing or of another type"
        ),
        (
            .answer("{\"return\": \(String(repeating: "[", count: 100_000)), \"id\": ID}\n"), .notUnderstood,
            "a line that is not JSON"
        ),
        (.answer("{\"return\""), .notUnderstood, "half a message"),
        (.hear, .unreachable, "closed the connection"),
        (nil, .unreachable, "connection"),
    ]

    @Test("An answer that is none is told by its kind", arguments: answers)
    func wrongAnswers(step: ScriptedPeer.Step?, kind: HypervisorError.Kind, says: String) throws {
        let vm = try connect([.handshake("work")] + (step.map { [$0] } ?? []))
        let error = #expect(throws: HypervisorError.self) { try vm.state() }
        #expect(error?.kind == kind)
        #expect(error?.description.contains(says) == true, "\(error.map(\.description) ?? "no error")")
    }

    @Test("An answer that comes too late is not taken for the next one's")
    func late() throws {
        let peer = peer([
            .handshake("work"), .hear, .hear, .send("{\"return\": {\"status\": \"running\"}, \"id\": 3}\n"),
            .send("{\"return\": {\"status\": \"prelaunch\"}, \"id\": 4}\n"), .silence,
        ])
        let connection = try connection(to: peer)
        _ = try connection.results(of: .agreeOnCapabilities, .name)
        #expect(throws: QMPError.self) {
            try connection.results(of: .status, within: .milliseconds(50))
        }
        #expect(try connection.call(.status).status == "prelaunch")
    }

    @Test("Events without end are no answer")
    func endlessEvents() throws {
        let peer = peer([.greeting, .hear, .repeated("{\"event\": \"RTC_CHANGE\", \"data\": {}}\n")])
        let connection = try connection(to: peer)
        let error = #expect(throws: QMPError.self) {
            try connection.results(of: .status, within: .milliseconds(50))
        }
        #expect(error == .transport("no answer to 'query-status' within 0.05 s"))
        #expect(try connection.event(until: Deadline(after: .milliseconds(50))) { $0.name == "RESUME" } == nil)
        #expect(!connection.waitForEnd(until: Deadline(after: .milliseconds(50))))
    }

    @Test("A connection that ends in the middle of a batch gives no results at all", .needsLoopDevices)
    func cutBatch() throws {
        let vm = try connect(.handshake("work"), .answer("{\"return\": [], \"id\": ID}\n"), .hear)
        let disk = try LoopDisk()
        let request = try disk.request()
        let error = #expect(throws: HypervisorError.self) { try vm.verify([request]) }
        #expect(error?.kind == .unreachable)
    }

    @Test("Eight commands go out together, and the ninth waits")
    func pipelining() throws {
        let answer = ScriptedPeer.Step.answer("{\"return\": {}, \"id\": ID}\n")
        let peer = peer([.greeting] + Array(repeating: answer, count: 20) + [.silence])
        let connection = try connection(to: peer)
        let results = try connection.results(of: (0..<20).map { QMPCommand<QMP.Nothing>("command-\($0)") })
        #expect(results.count == 20)
        #expect(results.allSatisfy { $0.value != nil })
        #expect(peer.commands.map(\.unansweredBehind).max() == 7)
        #expect(peer.commands.enumerated().allSatisfy { $1.line.contains("\"command-\($0)\"") })
    }

    @Test("A command that passes a descriptor is alone on its way")
    func alone() throws {
        let answer = ScriptedPeer.Step.answer("{\"return\": {}, \"id\": ID}\n")
        let peer = peer([.greeting, answer, answer, answer, answer, .silence])
        let connection = try connection(to: peer)
        let descriptor = try Descriptor.open("/dev/null")
        _ = try connection.results(
            of: .run, .hold(descriptor, as: "b"), .makeSet(of: descriptor, note: "c"), .status)
        #expect(peer.commands.map(\.unansweredBehind) == [0, 0, 0, 0])
    }

    @Test("Numbers, truth values and texts go out as what they are")
    func exactTypes() throws {
        let scsi = QMP.Device(driver: "scsi-hd", bus: "a/b", channel: 0, scsiID: 255, serial: "ü\"")
        let usb = QMP.Device(driver: "usb-storage", bus: "u", port: "1", removable: true)
        let lines = [
            try line(.plug(scsi)): #"{"bus":"a/b","channel":0,"driver":"scsi-hd","scsi-id":255,"serial":"ü\""}"#,
            try line(.plug(usb)): #"{"bus":"u","driver":"usb-storage","port":"1","removable":true}"#,
        ]
        for (line, arguments) in lines {
            #expect(line == "{\"arguments\":\(arguments),\"execute\":\"device_add\",\"id\":5}\n")
        }
        #expect(
            try line(.removeSet(.max))
                == """
                {"arguments":{"fdset-id":9223372036854775807},"execute":"remove-fd","id":5}

                """)
        #expect(try line(.run) == "{\"execute\":\"cont\",\"id\":5}\n")
    }

    @Test("A reply of the wrong form fails its own command, and the conversation goes on")
    func misfit() throws {
        let peer = peer([
            .greeting, .answer("{\"return\": {\"status\": 1e999}, \"id\": ID}\n"),
            .answer("{\"return\": {\"name\": \"work\"}, \"id\": ID}\n"), .silence,
        ])
        let (status, name) = try connection(to: peer).results(of: .status, .name)
        guard case .failure(.undecodable) = status else {
            Issue.record("\(status)")
            return
        }
        #expect(try name.get().name == "work")
    }

    private func line(_ command: QMPCommand<QMP.Nothing>) throws -> String {
        return String(decoding: try command.request.line(id: 5, by: QMPRequest.encoder), as: UTF8.self)
    }

    private func peer(_ script: [ScriptedPeer.Step]) -> ScriptedPeer {
        ScriptedPeer(at: folder.path + "/work.sock", script)
    }

    private func connection(to peer: ScriptedPeer) throws -> QMPConnection {
        try QMPConnection(
            greetedBy: UnixSocket.connect(to: peer.path), until: Deadline(after: .seconds(120)),
            timeout: .seconds(120))
    }

    private func connect(_ script: ScriptedPeer.Step...) throws -> any RunningVM { try connect(script) }

    private func connect(_ script: [ScriptedPeer.Step]) throws -> any RunningVM {
        _ = peer(script)
        return try folder.qemu.connect(to: VMName("work"), until: Deadline(after: .seconds(120)), waiting: false)
    }
}
