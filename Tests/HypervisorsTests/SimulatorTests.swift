import Devices
import Hypervisors
import Platform
import Testing

/// What the simulator does wrong when it is told to: the tests of the transaction stand on it.
@Suite(.needsLoopDevices) struct SimulatorTests {
    let simulator = Simulator()
    let work: VMName
    let disk: LoopDisk
    let request: AttachRequest

    init() throws {
        work = try VMName("work")
        disk = try LoopDisk()
        request = try disk.request()
        simulator.add(work, places: 1)
    }

    @Test("A refusal is the one that was asked for, and attaches nothing")
    func refuses() throws {
        let no = HypervisorError(.refused, "no")
        simulator.script(work, .refuses(request.id, no))
        let vm = try connect()
        #expect(throws: no) { try vm.attach(request) }
        #expect(simulator.attached(to: work) == [:])
        simulator.heal(work)
        try vm.attach(request)
        #expect(simulator.attached(to: work) == [request.id: .init(port: request.device.port, readOnly: false)])
    }

    @Test("A success that attached nothing, or the wrong way, shows at verification")
    func silentSuccess() throws {
        let readOnly = try disk.request(readOnly: true, claimed: false)
        for (fault, request) in [
            (Simulator.Fault.attachesNothing(request.id), request), (.attachesWritable(request.id), readOnly),
        ] {
            simulator.add(work)
            simulator.script(work, fault)
            let vm = try connect()
            try vm.attach(request)
            #expect(try vm.verify([request]).map { $0?.kind } == [.notVerified])
        }
    }

    @Test("Places run out")
    func places() throws {
        let vm = try connect()
        let second = try LoopDisk()
        let requests = [request, try second.request()]
        #expect(try vm.place(requests).map { $0?.kind } == [nil, .noRoom])
        try vm.attach(request)
        #expect(throws: HypervisorError.self) { try vm.attach(requests[1]) }
    }

    @Test("A device that is kept stays, a VM that does not resume stays paused, one that does not end stays")
    func keeps() throws {
        let vm = try connect()
        try vm.attach(request)
        simulator.script(work, .keeps(request.id), .doesNotResume, .doesNotEnd)
        #expect(throws: HypervisorError.self) { try vm.detach(request.id, until: Deadline(after: .zero)) }
        #expect(throws: HypervisorError.self) { try vm.resume() }
        #expect(throws: HypervisorError.self) { try vm.end() }
        #expect(try vm.attachments() == [request.id])
        #expect(simulator.state(of: work) == .notStarted)
    }

    @Test("A VM that does not answer is unreachable, also for new connections, and keeps what it has")
    func unreachable() throws {
        let vm = try connect()
        try vm.attach(request)
        simulator.script(work, .doesNotAnswer)
        for body in [{ _ = try vm.state() }, { _ = try connect() }, { try vm.end() }] as [() throws -> Void] {
            let error = #expect(throws: HypervisorError.self) { try body() }
            #expect(error?.kind == .unreachable)
        }
        #expect(simulator.attached(to: work).count == 1)
    }

    @Test("A VM started anew knows nothing of the one before, whose connection is dead")
    func restart() throws {
        let vm = try connect()
        try vm.attach(request)
        simulator.crash(work)
        simulator.add(work)
        #expect(throws: HypervisorError.self) { try vm.state() }
        #expect(simulator.attached(to: work) == [:])
        #expect(try connect().attachments() == [])
    }

    private func connect() throws -> any RunningVM {
        try simulator.connect(to: work, until: Deadline(after: .zero), waiting: false)
    }
}
