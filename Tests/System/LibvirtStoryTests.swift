import Foundation
import Testing

/// One boot of a container with systemd and libvirtd: `work` has a disk that is missing, `media` and `other` the same one
/// that is there, `narrow` no place for it.
private final class LibvirtBoot: StoryResult {
    let folder = temporaryPath("libvirt")
    var result: String { folder }
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
        let refusal = "VM work: block device dom0:\(missingPort) is not there"

        // Autostart after a boot of the host.
        boot.expect("autostart.list", "plain", "status 0")
        boot.expect("autostart.state", "shut off")
        boot.expect("libvirtd.journal", "autostart", refusal)

        // The unit.
        boot.expect("work.start", "status 1")
        boot.expect("work.status", "status=69/UNAVAILABLE", refusal)
        boot.expect("work.state", "shut off")
        boot.expect("media.start", "status 0")
        boot.expect("media.state", "running")
        boot.expect("media.xml", "<source dev='/dev/\(port)'", "<readonly/>", "ua-vmdev-\(port)")
        boot.expect("media.again", "status 0", "is attached already")
        boot.expect("list", "media (attached: read-only=yes)")
        boot.expect(
            "other.refused", "dom0:\(port) is taken by VM media", "Hook script execution failed", "status 1")
        boot.expect("other.unit-refused", "status 1")
        boot.expect("other.refused-state", "shut off")
        boot.expect("other.journal", "is taken by VM media")

        // Its end, whichever.
        boot.expect("media.killed", "status 0")
        for name in ["list.killed", "list.stopped", "list.destroyed"] {
            boot.expect(name, "status 0")
            #expect(!boot.read(name).contains("(attached"), "\(name): \(boot.read(name))")
        }
        boot.expect("other.late-end", "status 0")
        boot.expect("other.late-state", "running")
        boot.expect("media.restart", "status 0")
        boot.expect("media.stop", "status 0")
        boot.expect("media.stopped-state", "shut off")

        // Others' starts.
        boot.expect("work.virsh", refusal, "Hook script execution failed", "status 1")
        boot.expect("other.virsh", "status 0")
        boot.expect("other.attached", "status 0")
        boot.expect(
            "other.oneshot-status", "VM other: has 1 device, all that are assigned", "Deactivated successfully")
        boot.expect("list.other", "other (attached)")
        // There is no system in the guest that could let go of it.
        boot.expect("detach", "the guest did not let go of vmdev-\(port)", "status 74")
        boot.expect("narrow.virsh", "status 0")
        boot.expect("narrow.destroyed", "status 0")
        boot.expect("narrow.oneshot", "status=78")
        boot.expect("narrow.journal", "<controller type='pci' model='pcie-root-port'/>")

        // What cannot be asked.
        boot.expect("nobody", "status 77")
        boot.expect("away", "libvirt cannot be reached", "status 75")
        boot.expect("away.unit", "status 1")
        boot.expect("odd", "VM name", "status 64")
        #expect(boot.read("leases").isEmpty)
    }
}
