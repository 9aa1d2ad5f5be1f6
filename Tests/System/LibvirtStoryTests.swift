import Foundation
import Testing

/// One boot of a container with systemd and libvirtd: `work` has a disk that is missing, `media` and `other` the same one
/// that is there, `narrow` no place for it.
private final class LibvirtBoot {
    let folder = temporaryPath("libvirt")
    let disk: LoopDisk

    init() throws {
        disk = try LoopDisk()
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try disk.port.write(toFile: folder + "/port", atomically: true, encoding: .utf8)
        try missingPort.write(toFile: folder + "/missing", atomically: true, encoding: .utf8)
        try bootContainer(
            sharing: folder, disk: disk, story: "libvirt-story", image: "container-libvirt",
            packages: ["libvirt-daemon", "libvirt-daemon-system", "libvirt-clients"])
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    func read(_ name: String) -> String {
        (try? String(contentsOfFile: "\(folder)/\(name)", encoding: .utf8)) ?? ""
    }
}

@Suite(
    "libvirt under systemd",
    needs(
        Requirement.wholeHost, Requirement.command("systemd-nspawn", of: "systemd-container"),
        Requirement.command("mmdebstrap", of: "mmdebstrap")))
struct LibvirtStoryTests {
    @Test("Whoever starts a VM of libvirt's, it has its devices or is refused in words that whoever asked sees")
    func story() throws {
        let boot = try LibvirtBoot()
        let port = boot.disk.port
        func expect(_ name: String, _ words: String..., sourceLocation: SourceLocation = #_sourceLocation) {
            let text = boot.read(name)
            for word in words {
                #expect(text.contains(word), "\(name): \(text)", sourceLocation: sourceLocation)
            }
        }
        let refusal = "VM work: block device dom0:\(missingPort) is not there"

        // Autostart after a boot of the host.
        expect("autostart.list", "plain", "status 0")
        expect("autostart.state", "shut off")
        expect("libvirtd.journal", "autostart", refusal)

        // The unit.
        expect("work.start", "status 1")
        expect("work.status", "status=69/UNAVAILABLE", refusal)
        expect("work.state", "shut off")
        expect("media.start", "status 0")
        expect("media.state", "running")
        expect("media.xml", "<source dev='/dev/\(port)'", "<readonly/>", "ua-vmdev-\(port)")
        expect("media.again", "status 0", "is attached already")
        expect("list", "media (attached: read-only=yes)")
        expect("other.refused", "dom0:\(port) is taken by VM media", "Hook script execution failed", "status 1")
        expect("other.unit-refused", "status 1")
        expect("other.refused-state", "shut off")
        expect("other.journal", "is taken by VM media")

        // Its end, whichever.
        expect("media.killed", "status 0")
        for name in ["list.killed", "list.stopped", "list.destroyed"] {
            expect(name, "status 0")
            #expect(!boot.read(name).contains("(attached"), "\(name): \(boot.read(name))")
        }
        expect("media.restart", "status 0")
        expect("media.stop", "status 0")
        expect("media.stopped-state", "shut off")

        // Others' starts.
        expect("work.virsh", refusal, "Hook script execution failed", "status 1")
        expect("other.virsh", "status 0")
        expect("other.attached", "status 0")
        expect("other.oneshot-status", "VM other: has 1 device, all that are assigned", "Deactivated successfully")
        expect("list.other", "other (attached)")
        // There is no system in the guest that could let go of it.
        expect("detach", "the guest did not let go of vmdev-\(port)", "status 74")
        expect("narrow.virsh", "status 0")
        expect("narrow.destroyed", "status 0")
        expect("narrow.oneshot", "status=78")
        expect("narrow.journal", "<controller type='pci' model='pcie-root-port'/>")

        // What cannot be asked.
        expect("nobody", "status 77")
        expect("away", "libvirt cannot be reached", "status 75")
        expect("away.unit", "status 1")
        expect("odd", "VM name", "status 64")
        #expect(boot.read("leases").isEmpty)
    }
}
