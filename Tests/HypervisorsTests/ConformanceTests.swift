import Devices
import Foundation
import Hypervisors
import Platform
import TestSupport
import Testing

/// What every hypervisor keeps to, the simulator and the real ones alike.
@Suite(.needsLoopDevices, .needsQEMU, .needsLibvirt) struct ConformanceTests {
    let soon = Deadline(after: .seconds(120))

    @Test(
        "A VM started paused has not started, runs after resume, and is gone after end", arguments: Bench.allCases)
    func life(bench: Bench) throws {
        let started = try bench.start()
        let vm = try started.connect()
        #expect(vm.name == started.name)
        #expect(try vm.state() == bench.first)
        #expect(try started.hypervisor.runningVMs() == [started.name])
        try vm.resume()
        #expect(try vm.state() == .running)
        try vm.end()
        #expect(try started.hypervisor.runningVMs() == [])
        let error = #expect(throws: HypervisorError.self) { try started.connect(waiting: false) }
        #expect(error?.kind == .notRunning)
    }

    @Test("What was attached is there, verified, and still there after resume", arguments: Bench.allCases)
    func attach(bench: Bench) throws {
        let started = try bench.start()
        let vm = try started.connect()
        let disks = [try LoopDisk(), try LoopDisk()]
        let requests = [try disks[0].request(), try disks[1].request(readOnly: true)]
        #expect(try vm.place(requests) == [nil, nil])
        for request in requests { try vm.attach(request) }
        #expect(try vm.verify(requests).allSatisfy { $0 == nil })
        #expect(try vm.attachments() == Set(requests.map(\.id)))
        try vm.resume()
        #expect(try vm.verify(requests).allSatisfy { $0 == nil })
    }

    @Test("A device that was never attached does not pass verification", arguments: Bench.allCases)
    func absent(bench: Bench) throws {
        let started = try bench.start()
        let vm = try started.connect()
        let disk = try LoopDisk()
        let request = try disk.request()
        let error = try vm.verify([request]).first ?? nil
        #expect(error?.kind == .notVerified)
        #expect(error?.message.contains(request.device.name) == true)
    }

    @Test("Verification tells of each device whether it is there, attached by whomever", arguments: Bench.allCases)
    func verifyEach(bench: Bench) throws {
        let started = try bench.start()
        let disks = [try LoopDisk(), try LoopDisk(), try LoopDisk()]
        do {
            let vm = try started.connect()
            for disk in [disks[0], disks[2]] { try vm.attach(try disk.request()) }
        }
        let again = try started.connect()
        let requests = try disks.map { disk in
            AttachRequest(device: try disk.device(), options: .none, readOnly: false, backing: .alreadyThere)
        }
        #expect(try again.verify(requests).map { $0?.kind } == [nil, .notVerified, nil])
        let error = #expect(throws: HypervisorError.self) { try again.attach(requests[1]) }
        #expect(error?.kind == .unsupported)
    }

    @Test("A disk attached the other way than asked for does not pass verification", arguments: Bench.allCases)
    func readOnlyMismatch(bench: Bench) throws {
        let started = try bench.start()
        let vm = try started.connect()
        let disk = try LoopDisk()
        do { try vm.attach(disk.request(readOnly: true)) }
        let writable = try disk.request(readOnly: false, claimed: false)
        let error = try vm.verify([writable]).first ?? nil
        #expect(error?.kind == .notVerified)
    }

    @Test("A device can be detached and attached again before the VM starts", arguments: Bench.allCases)
    func again(bench: Bench) throws {
        let started = try bench.start(places: 1)
        let vm = try started.connect()
        let disk = try LoopDisk()
        let id = try disk.request().id
        for readOnly in [false, true, false] {
            let request = try disk.request(readOnly: readOnly)
            #expect(try vm.place([request]) == [nil])
            try vm.attach(request)
            #expect(try vm.verify([request]) == [nil])
            try vm.detach(id, until: soon)
            #expect(try vm.attachments() == [])
        }
        #expect(try vm.state() == bench.first)
    }

    @Test("Detaching what is not attached is no error", arguments: Bench.allCases)
    func detachNothing(bench: Bench) throws {
        let started = try bench.start()
        let disk = try LoopDisk()
        try started.connect().detach(try AttachmentID(port: disk.device().port), until: soon)
        #expect(try started.hypervisor.runningVMs() == [started.name])
    }

    @Test(
        "The disk stays claimed as long as the VM has it, and no longer",
        arguments: Bench.allCases.filter(\.keepsClaims))
    func claim(bench: Bench) throws {
        let started = try bench.start()
        let vm = try started.connect()
        let disk = try LoopDisk()
        do { try vm.attach(disk.request()) }
        #expect(disk.isClaimed)
        try vm.detach(try AttachmentID(port: disk.device().port), until: soon)
        #expect(!disk.isClaimed)
        do { try vm.attach(disk.request(readOnly: true)) }
        #expect(disk.isClaimed)
        try vm.end()
        #expect(!disk.isClaimed)
    }

    @Test("A device that is attached already is refused, and the first stays", arguments: Bench.allCases)
    func twice(bench: Bench) throws {
        let started = try bench.start()
        let vm = try started.connect()
        let disk = try LoopDisk()
        let first = try disk.request()
        try vm.attach(first)
        let second = try disk.request(claimed: false)
        let error = #expect(throws: HypervisorError.self) { try vm.attach(second) }
        #expect(error?.kind == .refused)
        #expect(try vm.verify([first]) == [nil])
    }

    @Test(
        "What proves that the VM has a device lasts until that is ended, and no longer than the VM",
        arguments: Bench.paused)
    func custody(bench: Bench) throws {
        let started = try bench.start()
        let vm = try started.connect()
        switch vm.custody {
        case .locks(let keeper):
            let lock = try LockFile()
            try lock.take { try keeper.hold($0, as: "lock-block-7:0") }
            #expect(try !lock.isFree)
            try keeper.letGo("lock-block-7:0")
            #expect(try lock.isFree)
            try keeper.letGo("lock-block-7:0")
            try lock.take { try keeper.hold($0, as: "lock-block-7:0") }
            try vm.end()
            #expect(try lock.isFree)
        case .lease(let holder):
            #expect(holder.process.isAlive)
            try vm.end()
            #expect(!holder.process.isAlive)
        case .hypervisor: Issue.record("a hypervisor that keeps account itself proves nothing so")
        }
    }

    @Test(
        "A VM that is killed frees its locks and its disks, and its connection says so", arguments: Bench.paused)
    func killed(bench: Bench) throws {
        let started = try bench.start()
        let vm = try started.connect()
        let lock = try LockFile()
        let disk = try LoopDisk()
        try lock.take { if case .locks(let keeper) = vm.custody { try keeper.hold($0, as: "lock") } }
        do { try vm.attach(disk.request()) }
        started.kill()
        #expect(try lock.isFree)
        if case .lease(let holder) = vm.custody { #expect(!holder.process.isAlive) }
        #expect(!disk.isClaimed)
        let error = #expect(throws: HypervisorError.self) { try vm.state() }
        #expect(error?.kind == .unreachable)
        #expect(try started.hypervisor.runningVMs() == [])
    }

    @Test("frontend-dev is refused with what to do instead", arguments: Bench.paused)
    func frontendName(bench: Bench) throws {
        let hypervisor = try bench.start().hypervisor
        let options = try DeviceOptions([(key: "frontend-dev", value: "xvdi")], of: .block)
        #expect(hypervisor.objection(to: options, of: .block)?.kind == .unsupported)
        #expect(hypervisor.objection(to: .none, of: .block) == nil)
    }
}

/// A file that can be locked.
final class LockFile {
    private let folder: TemporaryFolder
    private var path: String { folder.path + "/lock" }

    init() throws { folder = try TemporaryFolder() }

    /// Takes the lock, and lets go of our own descriptor afterwards.
    func take(_ handOver: (Descriptor) throws -> Void) throws {
        let descriptor = try Descriptor.open(path, [.readWrite, .create])
        guard try descriptor.tryLock(.exclusive) else { throw SystemCallError("lock", path, code: EAGAIN) }
        try handOver(descriptor)
    }

    var isFree: Bool { get throws { try Descriptor.open(path).obstacle(to: .exclusive) == .none } }
}
