import Foundation
import Platform
import TestSupport
import Testing

@testable import Devices
@testable import Hypervisors

/// What is asked before it is needed saves time, and changes nothing else.
@Suite struct QEMUForesightTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    @Test(
        "Places are the same whether they were asked for ahead or not", .needsLoopDevices, .needsQEMU,
        arguments: 0...3)
    func samePlaces(calls: Int) throws {
        let process = try QEMUProcess(ports: 7)
        let vm = try #require(process.connect() as? QEMUVM)
        let disks = try (0..<6).map { _ in try LoopDisk() }
        let requests = try disks.map { try $0.request() }
        for _ in 0..<calls { vm.foresee(requests.count) }
        #expect(try vm.place(requests) == requests.map { _ in nil })
        #expect(requests.map { vm.places[$0.id]?.bus } == (0...5).map { "rp\($0)" })
    }

    @Test(
        "What was asked ahead is forgotten once something else was asked", .needsLoopDevices, .needsQEMU,
        arguments: 1...2)
    func forgotten(calls: Int) throws {
        let process = try QEMUProcess(ports: 2)
        let vm = try #require(process.connect() as? QEMUVM)
        let disks = [try LoopDisk(), try LoopDisk()]
        let (first, second) = (try disks[0].request(), try disks[1].request())
        for _ in 0..<calls { vm.foresee(2) }
        try vm.attach(first)
        #expect(try vm.state() == .notStarted)
        #expect(try vm.place([second]) == [nil])
        try vm.attach(second)
        #expect(try vm.verify([first, second]) == [nil, nil])
    }

    @Test("What was asked ahead is not asked again")
    func once() throws {
        let list = ScriptedPeer.Step.answer("{\"return\": [], \"id\": ID}\n")
        let peer = peer([
            .handshake("work"), list, list, list, .answer("{\"return\": \"\", \"id\": ID}\n"), .silence,
        ])
        let vm = try #require(connect() as? QEMUVM)
        vm.foresee(1)
        vm.foresee(1)
        #expect(try vm.survey().rootDevices == 0)
        #expect(peer.commands.count == 6)
    }

    @Test("A VM that gives no answer ahead gives none later either, and is waited for once")
    func silent() throws {
        _ = peer([.handshake("work"), .silence])
        let vm = try #require(connect(within: .milliseconds(200)) as? QEMUVM)
        vm.foresee(1)
        vm.foresee(1)
        let error = #expect(throws: HypervisorError.self) { try vm.survey() }
        #expect(error?.kind == .unreachable)
    }

    @Test("A connection that was lost meanwhile is told when the places are needed")
    func lost() throws {
        _ = peer([.handshake("work"), .hear])
        let vm = try #require(connect() as? QEMUVM)
        vm.foresee(1)
        vm.foresee(1)
        let error = #expect(throws: HypervisorError.self) { try vm.survey() }
        #expect(error?.kind == .unreachable)
    }

    private func peer(_ script: [ScriptedPeer.Step]) -> ScriptedPeer {
        ScriptedPeer(at: folder.path + "/work.sock", script)
    }

    private func connect(within timeout: Duration = .seconds(120)) throws -> any RunningVM {
        try QEMU(
            root: Root(folder.path),
            socket: VMNamePattern(before: "/", after: ".sock"), timeout: timeout
        )
        .connect(to: VMName("work"), until: Deadline(after: .seconds(120)), waiting: false)
    }
}
