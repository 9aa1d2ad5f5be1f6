import Applying
import Devices
import Glibc
import Hypervisors
import Platform
import TestSupport
import Testing

@Suite("Devices of a source VM that come and go while VMs run")
struct SourceReturnTests {
    let host: FakeHost
    let source: FakeSourceVM
    let work: VMName

    init() throws {
        host = try FakeHost()
        source = host.usbVM
        work = try VMName("work")
        host.simulator.add(work, state: .running)
    }

    /// `work` is a VM that holds its locks, or one that has leases.
    private func leases(_ isLeased: Bool) throws {
        guard isLeased else { return }
        let holder = LeaseHolder(domain: "work", process: try #require(ProcessIdentity(of: getpid())))
        host.simulator.add(work, state: .running, holder: holder)
    }

    /// `work` has two disks of the source.
    private func attachTwoDisks() throws {
        try source.plug("sdb", identity: "scsi-ONE")
        try source.plug("sdc", identity: "scsi-TWO")
        host.store.set([try row("work usbvm:sdb:scsi-ONE required"), try row("work usbvm:sdc:scsi-TWO required")])
        #expect(host.applier.apply(to: work, on: .byHand) == .success)
    }

    /// `work` has a disk and two sticks of the source.
    private func attachThree() throws {
        try source.plug("sdb", identity: "scsi-DISK")
        try source.plug("2-1", .usb, identity: "46f4:0001:ONE:u080650")
        try source.plug("2-2", .usb, identity: "46f4:0001:TWO:u080650")
        host.store.set([
            try row("work usbvm:sdb:scsi-DISK required"),
            try row("work usbvm:2-1:46f4:0001:ONE:u080650 required", .usb),
            try row("work usbvm:*:46f4:0001:TWO:u080650 auto-attach", .usb),
        ])
        #expect(host.applier.apply(to: work, on: .byHand) == .success)
        #expect(source.exported == ["2-1", "2-2", "sdb"])
        host.reporter.forget()
    }

    /// Something has changed there, and the host looks.
    private func changed() -> Sysexit { host.applier.sourcesChanged([source.name]) }

    private func ports() -> [String] {
        host.simulator.attached(to: work).values.map(\.port.description).sorted()
    }

    @Test("The journal names the very device that was lost, and no other", arguments: ["2-1", "2-2", "sdb"])
    func lost(port: String) throws {
        try attachThree()
        source.pull(port)
        #expect(changed() == .success)
        #expect(host.reporter.kinds == [.lost])
        let lost = try #require(host.reporter.outcomes.first)
        #expect(lost.reference?.port?.description == port)
        #expect(lost.reference?.deviceClass == (port == "sdb" ? .block : .usb))
        #expect(lost.message.contains("device usbvm:\(port):"))
        #expect(host.simulator.state(of: work) == .running)
        #expect(source.exported.count == 2)
    }

    @Test(
        "Of a source that ends each device is named once, whether it is assigned still or not",
        arguments: [false, true])
    func lostAll(isLeased: Bool) throws {
        try leases(isLeased)
        try attachThree()
        host.store.set([try row("work usbvm:sdb:scsi-DISK required")])
        source.die()
        #expect(changed() == .success)
        #expect(host.reporter.kinds == [.lost, .lost, .lost])
        #expect(
            host.reporter.outcomes.compactMap(\.reference?.port?.description).sorted() == ["2-1", "2-2", "sdb"])
        // Sticks are gone for the guest; what it does on the disk waits.
        #expect(ports() == ["sdb"])
    }

    @Test("What comes back is attached again, once, however often the source says so", arguments: [false, true])
    func back(isLeased: Bool) throws {
        try leases(isLeased)
        try attachThree()
        source.die()
        #expect(changed() == .success)
        source.start()
        try source.plug("sdb", identity: "scsi-DISK")
        try source.plug("2-1", .usb, identity: "46f4:0001:ONE:u080650")
        host.reporter.forget()
        #expect(changed() == .success)
        #expect(host.reporter.kinds.filter { $0 == .reattached }.count == 1, "the disk waited in the VM")
        #expect(Set(host.reporter.outcomes.compactMap(\.device?.port.description)) == ["2-1", "sdb"])
        #expect(source.exported == ["2-1", "sdb"])
        #expect(ports() == ["2-1", "sdb"])
        let said = host.reporter.outcomes.count
        for _ in 0..<3 { #expect(host.applier.sourceUp(source.name) == .success) }
        #expect(host.reporter.outcomes.count == said)
        #expect(ports() == ["2-1", "sdb"])
    }

    @Test("A stick that was pulled and plugged in again before anybody looked is attached anew, once")
    func unnoticed() throws {
        try attachThree()
        source.pull("2-1")
        try source.plug("2-1", .usb, identity: "46f4:0001:ONE:u080650")
        #expect(changed() == .success)
        #expect(host.reporter.kinds == [.reattached])
        #expect(ports() == ["2-1", "2-2", "sdb"])
    }

    @Test("A stick that comes back in another port is followed there, and had once")
    func otherPort() throws {
        try attachThree()
        source.pull("2-1")
        try source.plug("2-7", .usb, identity: "46f4:0001:ONE:u080650")
        #expect(changed() == .success)
        #expect(host.reporter.kinds == [.followed, .reattached])
        #expect(ports() == ["2-2", "2-7", "sdb"])
    }

    @Test("Another device in the place of a lost one is not taken for it")
    func another() throws {
        try attachThree()
        source.pull("sdb")
        source.pull("2-1")
        try source.plug("sdb", identity: "scsi-OTHER")
        try source.plug("2-1", .usb, identity: "46f4:0001:OTHER:u080650")
        #expect(changed() != .success)
        #expect(source.exported == ["2-2"])
        #expect(host.reporter.kinds.filter { $0 == .lost }.count == 2)
        #expect(host.reporter.reasons == [.deviceReplaced, .deviceReplaced])
        #expect(ports() == ["2-2", "sdb"])
    }

    @Test(
        "Another disk in a port that is assigned whatever is in it does not get what the guest wrote on the lost one"
    )
    func anotherByPort() throws {
        try source.plug("sdb", identity: "scsi-DISK")
        host.store.set([try row("work usbvm:sdb required")])
        #expect(host.applier.apply(to: work, on: .byHand) == .success)
        source.pull("sdb")
        try source.plug("sdb", identity: "scsi-OTHER")
        host.reporter.forget()
        #expect(changed() == .unavailable)
        #expect(source.exported == [])
        #expect(host.reporter.reasons == [.deviceReplaced])
    }

    @Test(
        "A disk that comes back under another name is given where the VM looks for it, and is no second one",
        arguments: [false, true])
    func renamed(isLeased: Bool) throws {
        try leases(isLeased)
        try source.plug("sdb", identity: "scsi-DISK")
        host.store.set([try row("work usbvm:sdb:scsi-DISK required")])
        #expect(host.applier.apply(to: work, on: .byHand) == .success)
        for port in ["sdc", "sdd", "sdb"] {
            source.die()
            #expect(changed() == .success)
            source.start()
            try source.plug(port, identity: "scsi-DISK")
            host.reporter.forget()
            #expect(changed() == .success)
            #expect(host.reporter.kinds == (port == "sdb" ? [.reattached] : [.followed, .reattached]))
            #expect(source.served == [port: "sdb"])
            #expect(host.simulator.attached(to: work).count == 1)
            let records = try host.locks.live()
            #expect(records.map(\.device.port?.description) == [port])
            #expect(records.map(\.servedAs?.description) == [port == "sdb" ? nil : "sdb"])
            host.reporter.forget()
            #expect(changed() == .success)
            #expect(host.reporter.kinds.isEmpty)
        }
        let record = try #require(try host.locks.live().first)
        #expect(host.applier.detach(record) == nil)
        #expect(host.simulator.held(by: work).filter { $0.contains("lock") } == [])
        #expect(try host.locks.live() == [])
    }

    @Test(
        "Two disks that have changed their names with each other are both where the VM looks for them",
        arguments: [false, true])
    func exchanged(isLeased: Bool) throws {
        try leases(isLeased)
        try attachTwoDisks()
        source.die()
        source.start()
        try source.plug("sdb", identity: "scsi-TWO")
        try source.plug("sdc", identity: "scsi-ONE")
        host.reporter.forget()
        #expect(changed() == .success)
        #expect(host.reporter.kinds == [.followed, .reattached, .followed, .reattached])
        #expect(source.served == ["sdb": "sdc", "sdc": "sdb"])
        #expect(ports().count == 2)
        #expect(try host.locks.live().map(\.device.description) == ["usbvm:sdb:scsi-TWO", "usbvm:sdc:scsi-ONE"])
        host.reporter.forget()
        #expect(changed() == .success)
        #expect(host.reporter.kinds.isEmpty)
    }

    @Test("A disk in the place of one that is lost still does not take it, and is refused")
    func crowded() throws {
        try attachTwoDisks()
        source.die()
        source.start()
        try source.plug("sdb", identity: "scsi-TWO")
        host.reporter.forget()
        _ = changed()
        #expect(source.exported == [])
        #expect(ports().count == 2)
        #expect(host.applier.apply(to: work, on: .byHand) != .success)
    }

    @Test("An attempt that fails ends the export, at a start and in a VM that runs", arguments: [true, false])
    func undone(isStart: Bool) throws {
        host.simulator.add(work, state: isStart ? .notStarted : .running)
        try source.plug("sdb", identity: "scsi-DISK")
        try source.plug("2-1", .usb, identity: "46f4:0001:ONE:u080650")
        host.store.set([try row("work usbvm:sdb required"), try row("work usbvm:2-1 required", .usb)])
        for device in try source.devices(of: .block) + source.devices(of: .usb) {
            host.simulator.script(work, .attachesNothing(AttachmentID(of: device)))
        }
        #expect(host.applier.apply(to: work, on: isStart ? .boot : .byHand) == .refused)
        #expect(source.exported == [])
        #expect(try host.locks.live() == [])
        #expect(host.simulator.state(of: work) == (isStart ? nil : .running))
    }

    @Test("A VM that ends while its devices come back is no failure, and the next has them")
    func endsMeanwhile() throws {
        let other = try VMName("other")
        host.simulator.add(other, state: .running)
        try source.plug("2-1", .usb, identity: "46f4:0001:ONE:u080650")
        host.store.set([try row("work usbvm:2-1 required", .usb), try row("other usbvm:2-1 auto-attach", .usb)])
        source.onExport { [simulator = host.simulator, work] in simulator.crash(work) }
        #expect(changed() == .success)
        #expect(host.reporter.kinds == [.attached])
        #expect(host.simulator.attached(to: other).count == 1)
    }

    @Test("A VM that is being started, and one that runs no more, is let be")
    func otherStates() throws {
        host.simulator.add(work, state: .notStarted)
        try source.plug("sdb", identity: "scsi-DISK")
        host.store.set([try row("work usbvm:sdb:scsi-DISK required")])
        #expect(changed() == .success)
        host.simulator.crash(work)
        #expect(changed() == .success)
        #expect(source.exported == [])
        #expect(host.reporter.kinds.isEmpty)
    }

    @Test("A source that is asked about many devices is asked a few times, not for each")
    func questions() throws {
        let numbers = 1...30
        for number in numbers { try source.plug("2-\(number)", .usb, identity: "46f4:0001:S\(number):u080650") }
        host.simulator.add(work, state: .running, places: 40)
        host.store.set(
            try numbers.map { try row("work usbvm:2-\($0):46f4:0001:S\($0):u080650 required", .usb) })
        #expect(host.applier.apply(to: work, on: .byHand) == .success)
        let before = source.questions
        #expect(changed() == .success)
        #expect(source.questions - before < 10)
    }

    @Test("A source that comes up is waited for until its exporter answers, whatever comes in between")
    func comesUp() throws {
        try attachThree()
        source.die()
        source.happens(
            {
                $0.start(); $0.hasExporter = false
            }, { _ in }, { _ in },
            { source in
                source.hasExporter = true
                try? source.plug("sdb", identity: "scsi-DISK")
            })
        #expect(host.applier.sourceUp(source.name) == .success)
        #expect(source.exported == ["sdb"])
        #expect(host.reporter.progress.last == "waiting for VM usbvm")
    }

    @Test("One that could not be started, or ends again, is waited for no longer than a VM may take to appear")
    func doesNotComeUp() throws {
        try attachThree()
        host.timeout = .milliseconds(100)
        source.die()
        #expect(host.applier.sourceUp(source.name) == .unavailable)
        source.start()
        source.hasExporter = false
        source.happens({ _ in }, { _ in }, { $0.die() })
        #expect(host.applier.sourceUp(source.name) == .unavailable)
        #expect(host.reporter.reasons == [.sourceNotRunning, .sourceNotRunning])
    }

    @Test("Nobody's name is asked for nothing")
    func unknown() throws {
        #expect(host.applier.sourcesChanged([try VMName("stranger")]) == .unavailable)
        #expect(host.reporter.reasons == [.sourceUnknown])
    }
}
