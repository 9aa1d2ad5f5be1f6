import Applying
import Assignments
import Devices
import Foundation
import HostDevices
import Hypervisors
import Platform
import TestSupport
import Testing

@Suite("Waiting for devices that are late")
struct WaitingTests {
    let host: FakeHost
    let work: VMName

    init() throws {
        host = try FakeHost()
        work = try VMName("work")
        host.simulator.add(work, places: 4)
    }

    private func outcome(_ kind: Outcome.Kind) -> Outcome? { host.reporter.outcomes.first { $0.kind == kind } }

    /// Things that happen elsewhere; a start that hears of them looks again and goes on waiting.
    private let nothing: @Sendable (FakeSource) -> Void = { _ in }

    @Test("A start goes on as soon as the device has come, and tells that it waited")
    func comes() throws {
        let disk = try disk("sda")
        host.source.hears(nothing, nothing, { $0.set([disk]) })
        #expect(try host.apply("work", "work dom0:sda required timeout=1h") == .success)
        #expect(host.simulator.state(of: work) == .running)
        #expect(host.reporter.kinds == [.waiting, .attached, .started])
        #expect(host.reporter.texts(.waiting).first?.hasSuffix("is waited for, 3600 s at most") == true)
        #expect(outcome(.attached)?.message.contains("is attached (waited ") == true)
        #expect(outcome(.attached)?.waited != nil)
        #expect(outcome(.attached)?.duration != nil)
        #expect(host.reporter.progress.contains { $0.hasPrefix("waiting for block device dom0:sda, 36") })
    }

    @Test("A device that is there is not waited for, and nothing is said of it")
    func there() throws {
        host.source.hears(nothing)
        host.source.set([try disk("sda")])
        #expect(try host.apply("work", "work dom0:sda required timeout=1h") == .success)
        #expect(host.reporter.kinds == [.attached, .started])
        #expect(outcome(.attached)?.waited == nil)
        #expect(!host.source.isHeardOut)
    }

    @Test("A device that does not come fails the start when its time is up and not before, and the message says so")
    func neverComes() throws {
        host.source.hears(nothing)
        let clock = ContinuousClock.now
        #expect(try host.apply("work", "work dom0:sda required timeout=300ms") == .unavailable)
        #expect(ContinuousClock.now - clock >= .milliseconds(300))
        #expect(host.reporter.kinds == [.waiting, .failed, .startRefused])
        #expect(host.reporter.texts(.failed).first?.contains("(waited 300 ms for it). Connect the device") == true)
        #expect(outcome(.failed)?.waited == .milliseconds(300))
        #expect(host.simulator.state(of: work) == nil)
        #expect(try host.locks.live().isEmpty)
    }

    @Test("Without timeout= the host's own time counts; timeout= goes before it", arguments: [true, false])
    func standard(hasOwn: Bool) throws {
        host.source.hears(nothing)
        host.standardWait = hasOwn ? .seconds(3600) : .milliseconds(20)
        let status = try host.apply("work", "work dom0:sda required\(hasOwn ? " timeout=20ms" : "")")
        #expect(status == .unavailable)
        #expect(outcome(.failed)?.waited == .milliseconds(20))
    }

    @Test(
        "Nothing is waited for where the time is 0, or where nothing would ever be heard", arguments: [true, false])
    func noWait(isHeard: Bool) throws {
        if isHeard { host.source.hears(nothing) }
        host.standardWait = isHeard ? .zero : .seconds(3600)
        #expect(try host.apply("work", "work dom0:sda required", "work dom0:sdb auto-attach") == .unavailable)
        #expect(!host.reporter.kinds.contains(.waiting))
        #expect(outcome(.failed)?.waited == nil)
        #expect(!host.reporter.texts(.failed).joined().contains("waited"))
    }

    @Test("What waiting cannot heal ends it at once: a wrong device, one in use, one that is taken, a wrong option")
    func hopeless() throws {
        host.source.hears(nothing)
        host.source.set([try disk("sdb", identity: "usb-B"), try disk("sdc", uses: [.mounted("/srv")])])
        for wrong in ["dom0:sdb:usb-A required", "dom0:sdc required", "dom0:sdb required frontend-dev=xvdi"] {
            host.simulator.add(work, places: 4)
            let status = try host.apply("work", "work dom0:sda required timeout=1h", "work \(wrong)")
            #expect(status != .success, "\(wrong)")
        }
        #expect(!host.reporter.kinds.contains(.waiting))
        #expect(!host.source.isHeardOut)
    }

    @Test("What turns out wrong while others are waited for ends the wait")
    func turnsHopeless() throws {
        let used = try disk("sdb", uses: [.mounted("/srv")])
        host.source.hears(nothing, { $0.set([used]) })
        let status = try host.apply(
            "work", "work dom0:sda required timeout=1h", "work dom0:sdb required timeout=1h")
        #expect(status == .taken)
        #expect(host.reporter.reasons.contains(.deviceMissing))
        #expect(
            host.reporter.texts(.failed).contains { $0.contains("dom0:sda is not there") && $0.contains("waited") })
    }

    @Test("An optional device is waited for no longer than its own time, and the VM then starts without it")
    func optional() throws {
        let disk = try disk("sda")
        host.source.hears(nothing)
        host.source.set([disk])
        #expect(
            try host.apply("work", "work dom0:sda required", "work dom0:sdb auto-attach timeout=50ms") == .success)
        #expect(host.reporter.kinds == [.waiting, .attached, .skipped, .started])
        #expect(outcome(.skipped)?.waited == .milliseconds(50))
        #expect(outcome(.attached)?.waited == nil)
    }

    @Test(
        "Each of several is waited for its own time: one that is up ends the wait of the others when it is required"
    )
    func ownTimes() throws {
        host.source.hears(nothing)
        let status = try host.apply(
            "work", "work dom0:sda required timeout=50ms", "work dom0:sdb required timeout=1h")
        #expect(status == .unavailable)
        #expect(host.reporter.reasons == [.deviceMissing, .deviceMissing])
        #expect(host.reporter.texts(.failed).first?.contains("(waited 50 ms for it)") == true)
    }

    @Test("All that come late are attached, in the table's order")
    func several() throws {
        let disks = try ["sda", "sdb", "sdc"].map { try disk($0) }
        host.source.hears({ $0.set([disks[2]]) }, { $0.set([disks[1], disks[2]]) }, { $0.set(disks) })
        let status = try host.apply(
            "work", "work dom0:sda required timeout=1h", "work dom0:sdb auto-attach timeout=1h",
            "work dom0:sdc required timeout=infinity")
        #expect(status == .success)
        #expect(host.reporter.kinds == [.waiting, .waiting, .waiting, .attached, .attached, .attached, .started])
        #expect(host.simulator.attached(to: work).count == 3)
        #expect(host.reporter.progress.contains("waiting for block device dom0:sdc and 2 more"))
    }

    @Test("A device that comes and is another than the one that is assigned is not taken for it")
    func anotherComes() throws {
        let other = try disk("sda", identity: "usb-B")
        host.source.hears({ $0.set([other]) })
        #expect(try host.apply("work", "work dom0:sda:usb-A required timeout=1h") == .unavailable)
        #expect(host.reporter.reasons == [.deviceReplaced])
    }

    @Test(
        "A VM that is up gets what is there at once: only a start waits, and a check never does",
        arguments: [true, false])
    func onlyStarts(isCheck: Bool) throws {
        host.source.hears(nothing)
        host.simulator.add(work, state: .running)
        host.source.set([try disk("sdb")])
        let rows = try ["work dom0:sda required timeout=1h", "work dom0:sdb required"].map(row)
        host.store.set(rows)
        let status = isCheck ? host.applier.check(work) : host.applier.apply(to: work, on: .byHand)
        #expect(status == .unavailable)
        #expect(!host.reporter.kinds.contains(.waiting))
        #expect(host.simulator.attached(to: work).count == (isCheck ? 0 : 1))
    }

    @Test("A check tells of a late device how long a start would wait for it, if it would wait at all")
    func wouldWait() throws {
        host.source.hears(nothing)
        host.standardWait = .seconds(30)
        host.store.set(try ["work dom0:sda required", "work dom0:sdb auto-attach timeout=infinity"].map(row))
        let waits = host.applier.forecast(work).problems.map(\.wait)
        #expect(waits == [.seconds(30), TimeSpan.infinity.duration])
        #expect(host.applier.check(work) == .unavailable)
        #expect(
            host.reporter.texts(.failed).first?.contains("(a start would wait for it, 30 s at most). Connect")
                == true)
        #expect(
            host.reporter.texts(.skipped).first?.contains("(a start would wait for it, however long it takes)")
                == true)
        // One that cannot come is no reason to wait for the others.
        host.store.set(try ["work dom0:sda required timeout=1h", "work sys-usb:sda required"].map(row))
        #expect(host.applier.forecast(work).problems.map(\.wait) == [nil, nil])
        host.standardWait = .zero
        host.store.set(try ["work dom0:sda required"].map(row))
        #expect(host.applier.forecast(work).problems.map(\.wait) == [nil])
    }

    @Test("A table with a wrong row fails the start without any wait")
    func wrongRow() throws {
        host.source.hears(nothing)
        try FileManager.default.createDirectory(
            atPath: host.root.path("/etc/vmdev"), withIntermediateDirectories: true)
        try "work block dom0:sda required timeout=1h\nwork block dom0:sdb reqired\n"
            .write(toFile: host.root.path("/etc/vmdev/assignments"), atomically: true, encoding: .utf8)
        let applier = Applier(
            store: AssignmentTable(root: host.root), sources: [host.source], hypervisor: host.simulator,
            root: host.root, reporter: host.reporter, timeout: .seconds(5))
        #expect(applier.apply(to: work, on: .boot) == .tableWrong)
        #expect(!host.reporter.kinds.contains(.waiting))
    }
}
