import Devices
import Foundation
import Platform
import Testing

@testable import HostDevices

/// What is told of the PCI functions of a host that is rebuilt in a folder, and what happens to their drivers.
@Suite("PCI functions")
struct PCITests {
    let host: PCIHost
    let work: VMName
    let card = "0000:01:00.0"

    init() throws {
        host = try PCIHost()
        work = try VMName("work")
        try host.add("0000:00:1c.0", kind: "060400", driver: "pcieport", group: 1, buses: (1, "0000:01"))
        try host.add(card, below: ["0000:00:1c.0"], driver: "e1000e", group: 7)
    }

    private func claim(_ port: String, _ options: [(key: String, value: String)] = []) throws(any Error) {
        let device = try #require(try host.device(port))
        let claim = try host.pci.claim(
            device, for: work, readOnly: false, options: DeviceOptions(options, of: .pci))
        #expect(claim == nil)
    }

    private func driver(_ address: String) -> String? { PCIFunction(address: address, root: host.root)?.driver }

    @Test("A function is known by maker, model and subsystem, and excludes its whole IOMMU group")
    func description() throws {
        let device = try #require(try host.device("01_00.0"))
        #expect(device.identities.map(\.description) == ["8086:10d3:80860001"])
        #expect(device.canonical == CanonicalDevice(key: "pci-0000:01:00.0", alone: ["iommu-7"]))
        #expect(device.uses.isEmpty)
        #expect(device.title == "Ethernet controller: 8086:10d3")
        #expect(
            device.pci
                == Device.PCI(address: card, driver: "e1000e", group: 7, companions: [], canReset: true))
    }

    @Test(
        "A function is found under every spelling of its port, also by its path from the root bus",
        arguments: ["01_00.0", "01:00.0", "0000:01:00.0", "00_1c.0-00_00.0", "0000_00_1c.0-00_00.0"])
    func ports(port: String) throws {
        let reference = try DeviceReference(parsing: "dom0:\(port)", of: .pci)
        let found = try host.pci.candidates(for: [reference]).first ?? []
        guard case .found(let device, let movedFrom) = reference.match(among: found) else {
            Issue.record("\(port) is not found")
            return
        }
        #expect(device.port.description == "01_00.0")
        #expect(movedFrom == nil)
    }

    @Test(
        "A path through what is no bridge, or to nothing, is no function",
        arguments: [
            "00_1c.0-00_01.0", "00_1c.0-01_00.0", "00_1d.0-00_00.0", "01_00.0-00_00.0",
        ])
    func badPaths(port: String) throws { #expect(try host.device(port) == nil) }

    @Test(
        "After cards were moved the right one is found by its identity, and a different one in the port is not taken"
    )
    func moved() throws {
        try host.add("0000:00:04.0", ids: ("8086", "1533"), group: 4)
        let moved = try DeviceReference(parsing: "dom0:02_00.0:8086:1533:80860001", of: .pci)
        let all = try #require(try host.pci.candidates(for: [moved]).first)
        guard case .found(let device, let from) = moved.match(among: all) else {
            Issue.record("not followed")
            return
        }
        #expect(device.port.description == "00_04.0")
        #expect(from?.description == "02_00.0")
        let swapped = try DeviceReference(parsing: "dom0:01_00.0:8086:ffff:80860001", of: .pci)
        let candidates = try #require(try host.pci.candidates(for: [swapped]).first)
        guard case .replaced(let other) = swapped.match(among: candidates) else {
            Issue.record("taken in its place")
            return
        }
        #expect(other.port.description == "01_00.0")
    }

    @Test("A bridge, the boot display and the controller of a used disk stay with the host, each by its name")
    func uses() throws {
        try host.add("0000:00:02.0", kind: "030000", group: 2)
        try host.folder.write("sys/devices/pci0000:00/0000:00:02.0/boot_vga", "1\n")
        try host.add("0000:00:17.0", kind: "010601", group: 3)
        let disk = "sys/devices/pci0000:00/0000:00:17.0/ata1/block/sda"
        try host.folder.write("\(disk)/dev", "8:0\n")
        try host.folder.link("sys/block/sda", to: "\(host.folder.path)/\(disk)")
        let usage = HostUsage(
            mounts: MountTable(mountinfo: Array("36 35 8:0 / /srv rw - ext4 /dev/sda rw\n".utf8)), swaps: [],
            root: host.root)
        let inventory = PCIInventory(
            root: host.root,
            dependents: HostDependents(
                root: host.root, usage: usage, network: HostNetwork(ipv4: [], ipv6: [], root: host.root)))
        func uses(_ address: String) -> [String]? {
            PCIFunction(address: address, root: host.root).flatMap(inventory.device)?.uses.map(\.description)
        }
        #expect(uses("0000:00:1c.0") == ["a bridge of the host"])
        #expect(uses("0000:00:02.0") == ["the display that the host booted with"])
        #expect(uses("0000:00:17.0") == ["sda is mounted on /srv"])
        #expect(uses(card) == [])
    }

    @Test("A virtual function excludes the physical one that it is a part of")
    func virtualFunction() throws {
        try host.add("0000:01:10.0", group: 9)
        try host.folder.link(
            "sys/devices/pci0000:00/0000:01:10.0/physfn",
            to: "\(host.folder.path)/sys/devices/pci0000:00/0000:00:1c.0/\(card)")
        let (whole, part) = (try #require(try host.device("01_00.0")), try #require(try host.device("01_10.0")))
        #expect(part.canonical.conflicts(with: whole.canonical))
    }

    // MARK: What no VM can have

    private func objection(
        _ port: String, _ options: [(key: String, value: String)] = [], with others: [String] = []
    ) throws -> SourceError? {
        let device = try #require(try host.device(port))
        let together = try others.map { try #require(try host.device($0)) }
        return host.pci.objection(to: device, options: try DeviceOptions(options, of: .pci), together: together)
    }

    @Test("Without an IOMMU a function is refused, and the remedy names the kernel's option")
    func noIOMMU() throws {
        try host.add("0000:00:04.0")
        let error = try objection("00_04.0")
        #expect(error?.kind == .unfit)
        #expect(error?.remedy?.contains("intel_iommu=on") == true)
    }

    @Test("A function that cannot be reset needs no-strict-reset=yes, which the refusal says")
    func reset() throws {
        try host.add("0000:00:04.0", group: 4, canReset: false)
        #expect(try objection("00_04.0")?.remedy?.contains("no-strict-reset=yes") == true)
        #expect(try objection("00_04.0", [("no-strict-reset", "yes"), ("permissive", "yes")]) == nil)
        // An administrator can take all ways to reset from a function.
        try host.folder.write("sys/devices/pci0000:00/0000:00:1c.0/\(card)/reset_method", "\n")
        #expect(try objection("01_00.0")?.kind == .unfit)
    }

    @Test(
        "Every companion that the host uses is named with its driver; those that the same VM gets are not in the way"
    )
    func companions() throws {
        try host.add("0000:01:00.1", below: ["0000:00:1c.0"], driver: "snd_hda_intel", group: 7)
        try host.add("0000:01:00.2", below: ["0000:00:1c.0"], driver: "xhci_hcd", group: 7)
        try host.add("0000:01:00.3", below: ["0000:00:1c.0"], driver: "vfio-pci", group: 7)
        try host.add("0000:01:00.4", below: ["0000:00:1c.0"], driver: "pci-stub", group: 7)
        try host.add("0000:01:00.5", below: ["0000:00:1c.0"], group: 7)
        try host.add("0000:01:00.6", driver: "pcieport", group: 7, buses: (2, "0000:02"))
        let error = try objection("01_00.0")
        #expect(error?.message.contains("0000:01:00.1 (snd_hda_intel), 0000:01:00.2 (xhci_hcd)") == true)
        #expect(error?.message.contains("01:00.3") == false)
        #expect(try objection("01_00.0", with: ["01_00.1"])?.message.contains("snd_hda_intel") == false)
        #expect(try objection("01_00.0", with: ["01_00.1", "01_00.2"]) == nil)
    }

    // MARK: Drivers

    @Test(
        "A claim gives the function to vfio-pci, and giving it back restores its driver and leaves nothing behind")
    func claimAndBack() throws {
        try claim("01_00.0")
        #expect(driver(card) == "vfio-pci")
        #expect(host.saved(card) == "vm=work driver=e1000e override=- state=held\n")
        try host.pci.giveBack(Port("01_00.0", of: .pci), from: work)
        #expect(driver(card) == "e1000e")
        #expect(host.saved(card) == nil)
        #expect(host.read("sys/bus/pci/devices/\(card)/driver_override") == "\n")
    }

    @Test("A second start with the same function, without a release between, keeps the host's driver in mind")
    func secondStart() throws {
        try claim("01_00.0")
        try claim("01_00.0")
        #expect(host.saved(card)?.contains("driver=e1000e") == true)
        let given = try host.pci.giveBackAll(from: work)
        #expect(given.map(\.description) == ["dom0:01_00.0:8086:10d3:80860001"])
        #expect(driver(card) == "e1000e")
    }

    @Test("What was saved for one VM is not given back for another")
    func otherVM() throws {
        try claim("01_00.0")
        #expect(try host.pci.giveBackAll(from: VMName("other")).isEmpty)
        try host.pci.giveBack(Port("01_00.0", of: .pci), from: VMName("other"))
        #expect(driver(card) == "vfio-pci")
    }

    @Test("A function that an administrator gave to vfio-pci stays there")
    func administrator() throws {
        try host.bind(card, to: "vfio-pci")
        try claim("01_00.0")
        #expect(host.saved(card) == nil)
        #expect(try host.pci.giveBackAll(from: work).isEmpty)
        #expect(driver(card) == "vfio-pci")
    }

    @Test("An administrator's driver_override, and having no driver, come back as they were")
    func override() throws {
        try host.bind(card, to: nil)
        try host.folder.write("sys/bus/pci/devices/\(card)/driver_override", "none\n")
        try claim("01_00.0")
        #expect(driver(card) == "vfio-pci")
        _ = try host.pci.giveBackAll(from: work)
        #expect(driver(card) == nil)
        #expect(host.read("sys/bus/pci/devices/\(card)/driver_override") == "none\n")
    }

    @Test("Two functions of a group go back together, when the VM has given back the last of them")
    func group() throws {
        try host.add("0000:01:00.1", below: ["0000:00:1c.0"], driver: "snd_hda_intel", group: 7)
        let first = try #require(try host.device("01_00.0"))
        let second = try #require(try host.device("01_00.1"))
        for device in [first, second] {
            _ = try host.pci.claim(device, for: work, readOnly: false, options: .none)
        }
        try host.pci.giveBack(first.port, from: work)
        #expect(driver(card) == "vfio-pci")
        #expect(host.saved(card)?.contains("state=waiting") == true)
        try host.pci.giveBack(second.port, from: work)
        #expect(driver(card) == "e1000e")
        #expect(driver("0000:01:00.1") == "snd_hda_intel")
    }

    @Test("A companion that appears after the device was chosen is no less in the way")
    func lateCompanion() throws {
        let device = try #require(try host.device("01_00.0"))
        try host.add("0000:01:00.1", below: ["0000:00:1c.0"], driver: "snd_hda_intel", group: 7)
        let error = #expect(throws: SourceError.self) {
            try host.pci.claim(device, for: work, readOnly: false, options: .none)
        }
        #expect(error?.message.contains("0000:01:00.1 (snd_hda_intel)") == true)
        #expect(driver(card) == "e1000e")
    }

    @Test("Another card that came to the same place meanwhile is not claimed")
    func swapped() throws {
        let device = try #require(try host.device("01_00.0"))
        try host.folder.write("sys/devices/pci0000:00/0000:00:1c.0/\(card)/device", "0x1533\n")
        let error = #expect(throws: SourceError.self) {
            try host.pci.claim(device, for: work, readOnly: false, options: .none)
        }
        #expect(error?.kind == .changed)
        #expect(host.saved(card) == nil)
    }

    @Test("A driver that never lets go is named, is waited for no longer than allowed, and nothing stays changed")
    func hangingUnbind() throws {
        try host.hang("sys/bus/pci/drivers/e1000e/unbind")
        let device = try #require(try host.device("01_00.0"))
        let error = #expect(throws: SourceError.self) {
            try host.deaf.claim(device, for: work, readOnly: false, options: .none)
        }
        #expect(error?.kind == .inUse(.busy))
        #expect(
            error?.message.contains("e1000e does not let go of dom0:01_00.0 in time") == true, "\(error as Any)")
        #expect(host.read("sys/bus/pci/devices/\(card)/driver_override")?.hasPrefix("\n") == true)
        #expect(host.saved(card) == nil)
    }

    @Test("A kernel that answers with success and binds nothing is not believed")
    func silentProbe() throws {
        try host.bind(card, to: nil)
        let device = try #require(try host.device("01_00.0"))
        let error = #expect(throws: SourceError.self) {
            try host.deaf.claim(device, for: work, readOnly: false, options: .none)
        }
        #expect(error?.message.contains("no driver has it") == true, "\(error as Any)")
    }

    @Test("vfio-pci that is not there is loaded, and the reason is told when it cannot be")
    func loading() throws {
        try FileManager.default.removeItem(atPath: "\(host.folder.path)/sys/bus/pci/drivers/vfio-pci")
        let device = try #require(try host.device("01_00.0"))
        let missing = #expect(throws: SourceError.self) {
            try host.pci.claim(device, for: work, readOnly: false, options: .none)
        }
        #expect(missing?.message.contains("vfio-pci cannot be loaded") == true)
        #expect(driver(card) == "e1000e")
        #expect(host.saved(card) == nil)
        let program = "\(host.folder.path)/sbin/modprobe"
        try host.folder.write(
            "sbin/modprobe", "#!/bin/sh\nmkdir -p '\(host.folder.path)/sys/bus/pci/drivers/'\"$1\"\n")
        chmod(program, 0o755)
        try claim("01_00.0")
        #expect(driver(card) == "vfio-pci")
    }

    @Test("Without the node of its group a claim fails and is undone")
    func noNode() throws {
        try FileManager.default.removeItem(atPath: "\(host.folder.path)/dev/vfio/7")
        let device = try #require(try host.device("01_00.0"))
        let error = #expect(throws: SourceError.self) {
            try host.pci.claim(device, for: work, readOnly: false, options: .none)
        }
        #expect(error?.message.contains("/dev/vfio/7") == true)
        #expect(driver(card) == "e1000e")
        #expect(host.saved(card) == nil)
    }

    @Test("What is remembered of a driver survives the way through the file; what is not whole is not believed")
    func savedDriver() throws {
        var saved = SavedDriver(vm: work, driver: "e1000e", override: nil)
        saved.isWaiting = true
        #expect(SavedDriver(parsing: saved.text) == saved)
        for text in [
            "", "vm=work", "vm=work driver=e1000e override=-", "vm=dom1/x driver=a override=-\n",
            "vm=work driver=../x override=-\n",
        ] {
            #expect(SavedDriver(parsing: text) == nil)
        }
    }
}
