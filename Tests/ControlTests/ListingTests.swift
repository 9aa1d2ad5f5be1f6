import Applying
import Control
import Devices
import Foundation
import Hypervisors
import TestSupport
import Testing

@Suite("What list and info show")
struct ListingTests {
    let host: FakeHost
    let work: VMName
    let media: VMName

    init() throws {
        host = try FakeHost()
        work = try VMName("work")
        media = try VMName("media")
        host.simulator.add(work)
        host.source.set([
            try disk("sda", uses: [.mounted("/srv")]), try disk("sda10", on: ["sda"]),
            try disk("sda2", on: ["sda"]),
            try disk("sdb", identity: "usb-A"),
        ])
        host.store.set([
            try row("work dom0:sda2 required read-only=yes"), try row("media dom0:sdb:usb-A auto-attach"),
            try row("media dom0:sdx required"),
        ])
        #expect(host.applier.apply(to: work, on: .boot) == .success)
    }

    private var controller: Controller {
        Controller(
            applier: host.applier, store: host.store, sources: [host.source], hypervisor: host.simulator,
            locks: host.locks)
    }

    private func list(
        _ vms: Set<VMName>? = nil, excluding: Set<VMName> = [], assignments: Bool = false, form: OutputForm = .off,
        legend: Bool = false, identities: Bool = false
    ) throws -> [String] {
        let rows = try controller.survey(.block).rows(of: vms, excluding: excluding, withAssignments: assignments)
        let style = ListStyle(
            form: form, hasLegend: legend, withAssignments: assignments, withIdentities: identities)
        return render(rows, style).split(separator: "\n").map(String.init)
    }

    @Test("Devices in the order of their ports, with who uses them, the host included")
    func all() throws {
        #expect(
            try list(legend: true) == [
                "BACKEND:DEVID  DESCRIPTION        USED BY",
                "dom0:sda       disk sda, 1 MiB    dom0 (mounted on /srv)",
                "dom0:sda2      disk sda2, 1 MiB   work (attached: read-only=yes)",
                "dom0:sda10     disk sda10, 1 MiB",
                "dom0:sdb       disk sdb, 1 MiB",
            ])
    }

    @Test("With assignments: a star for what is stored, absent devices included")
    func assignments() throws {
        let lines = try list(assignments: true)
        #expect(
            lines.contains(
                "dom0:sda2   disk sda2, 1 MiB   work (attached: read-only=yes), *work (required: read-only=yes)"))
        #expect(lines.contains("dom0:sdb    disk sdb, 1 MiB    *media (auto-attach)"))
        #expect(lines.contains("dom0:sdx    (not there)        *media (required)"))
    }

    @Test("Named VMs: what they expose and what they have, and nobody else's")
    func named() throws {
        #expect(try list([work]) == ["dom0:sda2  disk sda2, 1 MiB  work (attached: read-only=yes)"])
        #expect(try list([media]).isEmpty)
        #expect(try list([media], assignments: true).count == 2)
        #expect(try list([.host]).count == 4)
    }

    @Test("--all --exclude: without what concerns those VMs alone")
    func excluded() throws {
        #expect(try list(excluding: [.host]) == ["dom0:sda2  disk sda2, 1 MiB  work (attached: read-only=yes)"])
        #expect(try list(excluding: [.host, work]).isEmpty)
    }

    @Test("A device that has gone is still shown for the VM that has it")
    func gone() throws {
        host.source.set([])
        #expect(try list() == ["dom0:sda2  (gone)  work (attached: read-only=yes)"])
    }

    @Test("With identities when they are asked for")
    func identities() throws {
        #expect(try list([.host], identities: true).last == "dom0:sdb    disk sdb, 1 MiB    usb-A")
    }

    @Test("JSON says the same, in both forms", arguments: [OutputForm.pretty, .short])
    func json(form: OutputForm) throws {
        let text = try list([work], assignments: true, form: form).joined(separator: "\n")
        let decoded = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [[String: Any]]
        let row = try #require(decoded?.first)
        #expect(row["device"] as? String == "dom0:sda2")
        #expect(row["class"] as? String == "block")
        #expect(row["size"] as? Int == 1 << 20)
        let attached = try #require((row["attached"] as? [[String: Any]])?.first)
        #expect(attached["vm"] as? String == "work")
        #expect(attached["options"] as? [String: String] == ["read-only": "yes"])
        #expect(((row["assigned"] as? [[String: Any]])?.first)?["mode"] as? String == "required")
        #expect(form == .pretty || !text.contains("\n"))
    }

    @Test("info tells all of one device, present or not", arguments: ["dom0:sda2", "dom0:sdx", "dom0:*:usb-A"])
    func info(name: String) throws {
        let rows = try controller.details(of: try DeviceReference(parsing: name, of: .block))
        #expect(rows.count == 1)
        let text = renderDetails(rows, .off)
        #expect(text.contains(name == "dom0:sda2" ? "attached to:" : "assigned to:"))
    }

    @Test("info on what is nowhere is an error that says so")
    func infoOnNothing() throws {
        let failure = #expect(throws: Failure.self) {
            try controller.details(of: try DeviceReference(parsing: "dom0:sdz", of: .block))
        }
        #expect(failure?.status == .unavailable)
    }
}

@Suite("How the program was called")
struct InvocationTests {
    @Test(
        "The program's name chooses the class, and options before the class are taken",
        arguments: [
            ("vmdevctl block list", "block list"), ("/usr/bin/qvm-block ls -s", "block ls -s"),
            ("qvm-usb", "usb"), ("qvm-device pci l", "pci l"), ("qvm-mic", "mic"),
            ("vmdevctl --root=/x -v block list", "block list --root=/x -v"),
            ("vmdevctl --root /x block list", "block list --root /x"),
            ("vmdevctl -q block attach -- work dom0:sda", "block attach -q -- work dom0:sda"),
            ("qvm-block --root /x", "block --root /x"), ("qvm-block --root=/x list", "block list --root=/x"),
            ("vmdevctl block -v list", "block list -v"), ("qvm-device usb -s list work", "usb list -s work"),
            ("vmdevctl block -s work", "block -s work"), ("vmdevctl -v check work", "check work -v"),
            ("vmdevctl --help", "--help"), ("vmdevctl", ""),
        ])
    func arguments(call: String, expected: String) {
        let parsed = Invocation(call.split(separator: " ").map(String.init)).arguments
        #expect(parsed.joined(separator: " ") == expected)
    }
}
