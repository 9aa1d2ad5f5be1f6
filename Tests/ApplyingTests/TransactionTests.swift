import Applying
import Devices
import HostDevices
import Hypervisors
import TestSupport
import Testing

@Suite("A start: all required devices, or none and the reason")
struct TransactionTests {
    let host: FakeHost
    let work: VMName

    init() throws {
        host = try FakeHost()
        work = try VMName("work")
        host.simulator.add(work, places: 4)
    }

    private func ports() -> [String] {
        host.simulator.attached(to: work).values.map(\.port.description).sorted()
    }

    private func id(_ port: String) throws -> AttachmentID { AttachmentID(port: try Port(port, of: .block)) }

    @Test("A VM whose devices are there runs with all of them")
    func all() throws {
        host.source.set([try disk("sda"), try disk("sdb")])
        let status = try host.apply("work", "work dom0:sda required", "work dom0:sdb auto-attach")
        #expect(status == .success)
        #expect(ports() == ["sda", "sdb"])
        #expect(host.simulator.state(of: work) == .running)
        #expect(host.reporter.kinds == [.attached, .attached, .started])
        #expect(try host.locks.live().map(\.vm) == [work, work])
    }

    @Test("A VM without assignments runs at once")
    func none() throws {
        #expect(try host.apply("work") == .success)
        #expect(host.simulator.state(of: work) == .running)
        #expect(host.reporter.kinds == [.started])
    }

    @Test("Every problem is told at once, and the VM has ended")
    func allProblems() throws {
        host.source.set([try disk("sdb", uses: [.mounted("/srv")]), try disk("sdc")])
        let status = try host.apply(
            "work", "work dom0:sda required", "work dom0:sdb required", "work dom0:sdc required",
            "work dom0:sdc:usb-X required")
        #expect(status == .taken, "what cannot get better by itself decides")
        #expect(
            host.reporter.reasons.sorted { $0.rawValue < $1.rawValue } == [
                .deviceMissing, .deviceReplaced, .usedByHost,
            ])
        #expect(host.simulator.state(of: work) == nil)
        #expect(try host.locks.live().isEmpty)
    }

    @Test("The third of four attachments is refused: the VM never runs with the other three")
    func thirdOfFour() throws {
        host.source.set(try ["sda", "sdb", "sdc", "sdd"].map { try disk($0) })
        host.simulator.script(work, .refuses(try id("sdc"), HypervisorError(.refused, "no")))
        let status = try host.apply(
            "work", "work dom0:sda required", "work dom0:sdb required", "work dom0:sdc required",
            "work dom0:sdd required")
        #expect(status == .refused)
        #expect(host.simulator.state(of: work) == nil)
        #expect(host.reporter.kinds == [.failed, .startRefused])
        #expect(try host.locks.live().isEmpty)
    }

    @Test("A hypervisor that says yes and does nothing fails the start", arguments: [false, true])
    func silentSuccess(asReadOnly: Bool) throws {
        host.source.set([try disk("sda")])
        host.simulator.script(
            work, asReadOnly ? .attachesWritable(try id("sda")) : .attachesNothing(try id("sda")))
        let status = try host.apply("work", "work dom0:sda required read-only=yes")
        #expect(status == .refused)
        #expect(host.reporter.reasons == [.notVerified])
        #expect(host.simulator.state(of: work) == nil)
    }

    @Test("A VM that does not begin to run is ended")
    func doesNotResume() throws {
        host.source.set([try disk("sda")])
        host.simulator.script(work, .doesNotResume)
        #expect(try host.apply("work", "work dom0:sda required") == .refused)
        #expect(host.simulator.state(of: work) == nil)
    }

    @Test("A VM that cannot be ended has its devices taken away, and both failures are told")
    func doesNotEnd() throws {
        host.source.set(try ["sda", "sdb"].map { try disk($0) })
        host.simulator.script(work, .refuses(try id("sdb"), HypervisorError(.refused, "no")), .doesNotEnd)
        #expect(try host.apply("work", "work dom0:sda required", "work dom0:sdb required") == .refused)
        #expect(ports().isEmpty)
        #expect(host.simulator.state(of: work) == .notStarted)
        #expect(host.simulator.held(by: work).isEmpty)
        #expect(host.reporter.kinds == [.failed, .endFailed])
    }

    @Test("Without an optional device the VM runs, and a warning says so")
    func optional() throws {
        host.source.set([try disk("sda"), try disk("sdb")])
        host.simulator.script(work, .refuses(try id("sdb"), HypervisorError(.refused, "no")))
        let status = try host.apply(
            "work", "work dom0:sdb auto-attach", "work dom0:sda required", "work dom0:sdx auto-attach")
        #expect(status == .success)
        #expect(ports() == ["sda"])
        #expect(Set(host.reporter.kinds) == [.attached, .skipped, .started])
        #expect(host.reporter.texts(.skipped).count == 2)
        #expect(host.simulator.held(by: work) == ["vmdev-sda.lock.block-sda"], "nothing is left of the refused one")
    }

    @Test("An optional device never takes the place of a required one")
    func scarcePlaces() throws {
        host.simulator.add(work, places: 1)
        host.source.set([try disk("sda"), try disk("sdb")])
        #expect(try host.apply("work", "work dom0:sda auto-attach", "work dom0:sdb required") == .success)
        #expect(ports() == ["sdb"])
    }

    @Test("A VM without room for a required device does not start")
    func noRoom() throws {
        host.simulator.add(work, places: 1)
        host.source.set([try disk("sda"), try disk("sdb")])
        #expect(try host.apply("work", "work dom0:sda required", "work dom0:sdb required") == .configuration)
        #expect(host.simulator.state(of: work) == nil)
    }

    @Test("Applied again, what is there is left as it is")
    func again() throws {
        host.source.set([try disk("sda")])
        #expect(try host.apply("work", "work dom0:sda required") == .success)
        #expect(try host.apply("work", on: .byHand, "work dom0:sda required") == .success)
        #expect(host.reporter.kinds == [.attached, .started, .alreadyAttached, .complete])
        #expect(try host.locks.live().count == 1)
    }

    @Test("By hand on a VM that is up: what can be had is attached, the rest is told, the VM goes on")
    func byHand() throws {
        host.simulator.add(work, state: .running)
        host.source.set([try disk("sda")])
        let status = try host.apply("work", on: .byHand, "work dom0:sda required", "work dom0:sdx required")
        #expect(status == .unavailable)
        #expect(ports() == ["sda"])
        #expect(host.simulator.state(of: work) == .running)
        #expect(host.reporter.kinds == [.attached, .failed, .leftAlone])
    }

    @Test("A VM that its unit starts is ended even when it runs already")
    func bootOfRunning() throws {
        host.simulator.add(work, state: .running)
        #expect(try host.apply("work", on: .boot, "work dom0:sdx required") == .unavailable)
        #expect(host.simulator.state(of: work) == nil)
    }

    @Test("By hand on a VM that has ended or crashed nothing is ended")
    func byHandOnEnded() throws {
        host.simulator.add(work, state: .ended("guest-panicked"))
        host.source.set([try disk("sda")])
        #expect(try host.apply("work", on: .byHand, "work dom0:sda required") == .unreachable)
        #expect(host.simulator.state(of: work) == .ended("guest-panicked"))
    }

    @Test(
        "A VM that is not there, or does not answer, is told apart from one that refuses", arguments: [true, false])
    func unreachable(there: Bool) throws {
        host.source.set([try disk("sda")])
        if there { host.simulator.script(work, .doesNotAnswer) } else { host.simulator.crash(work) }
        #expect(try host.apply("work", "work dom0:sda required") == .unreachable)
    }

    @Test("A claim that fails after all checks fails the start")
    func claim() throws {
        host.source.set([try disk("sda"), try disk("sdb")])
        try host.source.refuseClaim("sdb", SourceError(.inUse(.busy), "dom0:sdb is in use by the host"))
        #expect(try host.apply("work", "work dom0:sda required", "work dom0:sdb required") == .taken)
        #expect(host.simulator.state(of: work) == nil)
        #expect(try host.locks.live().isEmpty)
    }

    @Test("A check tells what a start would come to, and changes nothing")
    func check() throws {
        host.source.set([try disk("sda")])
        host.store.set([try row("work dom0:sda required"), try row("work dom0:sdx required")])
        #expect(host.applier.check(work) == .unavailable)
        #expect(host.reporter.kinds == [.failed, .startRefused])
        #expect(host.simulator.state(of: work) == .notStarted)
        #expect(ports().isEmpty)
        #expect(try host.locks.live().isEmpty)
    }
}
