import Applying
import Devices
import HostDevices
import Hypervisors
import TestSupport
import Testing

@Suite("A device that is plugged in while VMs run")
struct ReplugTests {
    let host: FakeHost
    let work: VMName
    let media: VMName

    init() throws {
        host = try FakeHost()
        work = try VMName("work")
        media = try VMName("media")
        host.simulator.add(work, state: .running, places: 4)
    }

    /// `sda`, as the `plug`-th device that comes there.
    private func stick(_ port: String = "sda", plug: UInt64 = 1, minor: UInt32 = 0) throws -> Device {
        try disk(port, identity: "usb-STICK", sequence: plug, minor: minor)
    }

    private func plug(_ minor: UInt32 = 0) -> Sysexit {
        host.applier.replug(Plug(.block, Device.Number(major: 8, minor: minor)))
    }

    private func ports(of vm: VMName) -> [String] {
        host.simulator.attached(to: vm).values.map(\.port.description).sorted()
    }

    @Test(
        "One that comes late is attached to the VM that has it assigned, in either mode",
        arguments: AssignmentMode.allCases)
    func late(mode: AssignmentMode) throws {
        host.store.set([try row("work dom0:*:usb-STICK \(mode)")])
        host.source.set([try stick()])
        #expect(plug() == .success)
        #expect(ports(of: work) == ["sda"])
        #expect(host.reporter.kinds == [.attached])
        #expect(try host.locks.live().map(\.vm) == [work])
    }

    @Test("One that nobody has assigned, or that has gone again, is let be", arguments: [true, false])
    func unwanted(isThere: Bool) throws {
        host.store.set([try row(isThere ? "work dom0:sdb required" : "work dom0:sda required")])
        host.source.set(isThere ? [try stick()] : [])
        #expect(plug() == .success)
        #expect(ports(of: work).isEmpty)
        #expect(host.reporter.kinds.isEmpty)
    }

    @Test("Plugged in again it takes the place of what was left of it, and is attached once")
    func again() throws {
        host.source.set([try stick()])
        #expect(try host.apply("work", on: .byHand, "work dom0:sda:usb-STICK required") == .success)
        host.source.set([try stick(plug: 2)])
        host.source.setGone(1)
        #expect(plug() == .success)
        #expect(ports(of: work) == ["sda"])
        #expect(host.reporter.kinds == [.attached, .complete, .reattached])
        #expect(try host.locks.live().map(\.sequence) == [2])
    }

    @Test("Plugged into another port it is followed there, and nothing is left in the old one")
    func elsewhere() throws {
        host.source.set([try stick()])
        #expect(try host.apply("work", on: .byHand, "work dom0:sda:usb-STICK required") == .success)
        host.source.set([try stick("sdb", plug: 2, minor: 16)])
        host.source.setGone(1)
        #expect(plug(16) == .success)
        #expect(ports(of: work) == ["sdb"])
        #expect(host.reporter.kinds.suffix(2) == [.followed, .reattached])
        #expect(try host.locks.live().count == 1)
    }

    @Test("What a VM has stays when it is only not known whether it has gone")
    func doubt() throws {
        host.source.set([try stick()])
        #expect(try host.apply("work", on: .byHand, "work dom0:sda:usb-STICK required") == .success)
        host.source.set([try stick("sdb", plug: 2, minor: 16)])
        #expect(plug(16) == .success)
        #expect(ports(of: work) == ["sda", "sdb"])
    }

    @Test("Twenty plugs at a time leave one attachment")
    func twenty() async throws {
        host.store.set([try row("work dom0:*:usb-STICK auto-attach")])
        host.source.set([try stick()])
        let statuses = await withTaskGroup(of: Sysexit.self) { group in
            for _ in 0..<20 { group.addTask { plug() } }
            return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(statuses.allSatisfy { $0 == .success })
        #expect(ports(of: work) == ["sda"])
        #expect(host.reporter.kinds == [.attached])
    }

    @Test(
        "Of two VMs the one that requires it gets it, else the first in the table; the other is told",
        arguments: [
            ("auto-attach", "required", "media"), ("auto-attach", "auto-attach", "work"),
            ("required", "required", "work"),
        ])
    func two(first: String, second: String, winner: String) throws {
        host.simulator.add(media, state: .running)
        host.store.set([try row("work dom0:sda \(first)"), try row("media dom0:sda \(second)")])
        host.source.set([try stick()])
        #expect(plug() == .success)
        #expect(try host.locks.live().map(\.vm.description) == [winner])
        #expect(host.reporter.kinds == [.attached, .passedOver])
        #expect(host.reporter.outcomes.map(\.target.description).first == winner)
    }

    @Test("A VM that cannot have it is told and runs on, and the next gets it")
    func full() throws {
        host.simulator.add(work, state: .running, places: 0)
        host.simulator.add(media, state: .running)
        host.store.set([try row("work dom0:sda required"), try row("media dom0:sda auto-attach")])
        host.source.set([try stick()])
        #expect(plug() == .configuration)
        #expect(host.simulator.state(of: work) == .running)
        #expect(ports(of: media) == ["sda"])
        #expect(host.reporter.kinds == [.plugFailed, .attached])
        #expect(host.reporter.reasons == [.noRoom])
    }

    @Test("A VM that ends meanwhile is no failure, and the next gets it")
    func endsMeanwhile() throws {
        host.simulator.add(media, state: .running)
        host.store.set([try row("work dom0:sda required"), try row("media dom0:sda auto-attach")])
        host.source.set([try stick()])
        host.source.onClaim { [simulator = host.simulator, work] in simulator.crash(work) }
        #expect(plug() == .success)
        #expect(ports(of: media) == ["sda"])
        #expect(host.reporter.kinds == [.attached])
    }

    @Test("A VM that is paused in its own start is left to that")
    func paused() throws {
        host.simulator.add(work, state: .notStarted)
        host.store.set([try row("work dom0:sda required")])
        host.source.set([try stick()])
        #expect(plug() == .success)
        #expect(ports(of: work).isEmpty)
        #expect(host.simulator.state(of: work) == .notStarted)
        #expect(host.reporter.kinds.isEmpty)
    }

    @Test("What is left of a device in a VM that has it assigned no more does not keep it from another")
    func leftover() throws {
        host.simulator.add(media, state: .running)
        host.source.set([try stick()])
        #expect(try host.apply("work", on: .byHand, "work dom0:sda required") == .success)
        host.store.set([try row("media dom0:sda required")])
        host.source.set([try stick(plug: 2)])
        host.source.setGone(1)
        #expect(plug() == .success)
        #expect(ports(of: work).isEmpty)
        #expect(ports(of: media) == ["sda"])
    }

    @Test("What a VM has already is not told again")
    func already() throws {
        host.source.set([try stick()])
        #expect(try host.apply("work", on: .byHand, "work dom0:sda required") == .success)
        #expect(plug() == .success)
        #expect(host.reporter.kinds == [.attached, .complete])
    }

    @Test("A device that the host uses is told, and nothing is attached")
    func mounted() throws {
        host.store.set([try row("work dom0:sda auto-attach")])
        host.source.set([try disk("sda", uses: [.mounted("/srv")])])
        #expect(plug() == .taken)
        #expect(host.reporter.kinds == [.plugFailed])
        #expect(host.reporter.reasons == [.usedByHost])
        #expect(ports(of: work).isEmpty)
    }
}
