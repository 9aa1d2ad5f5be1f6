import Applying
import Foundation
import Platform
import Systemd
import Testing

/// One boot of a container with a real systemd: `work` has a disk that is missing, `media` one that is there.
private final class Boot: StoryResult {
    let folder = temporaryPath("container")
    var result: String { folder }
    let disk: LoopDisk

    init() throws {
        disk = try LoopDisk()
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let table =
            "work block dom0:\(missingPort):usb-Stick_1 required -\nmedia block dom0:\(disk.port) required -\n"
        try table.write(toFile: folder + "/assignments", atomically: true, encoding: .utf8)
        try disk.port.write(toFile: folder + "/port", atomically: true, encoding: .utf8)

        try bootContainer(sharing: folder, disk: disk, story: "story")
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    /// The journal's entries with that text in their message.
    func entries(of vm: String, containing text: String) -> [[String: String]] {
        entries("\(vm).journal").filter { $0["MESSAGE"]?.contains(text) == true }
    }
}

@Suite(
    "Under systemd",
    needs(
        Requirement.wholeHost, Requirement.command("systemd-nspawn", of: "systemd-container"),
        Requirement.command("mmdebstrap", of: "mmdebstrap")))
struct SystemdTests {
    @Test(
        "systemctl start fails for a missing disk, the journal says why, and VMs with assignments are hooked in order"
    )
    func story() throws {
        let boot = try Boot()

        // The refused VM.
        #expect(boot.read("work.start-status") == "1\n", "\(boot.read("work.start"))")
        #expect(boot.read("work.show").contains("ActiveState=failed"))
        #expect(boot.read("work.show").contains("MainPID=0\n"), "QEMU is gone")
        #expect(boot.read("work.status").contains("status=69/UNAVAILABLE"), "\(boot.read("work.status"))")
        let refusals = boot.entries(of: "work", containing: "dom0:\(missingPort)")
        #expect(refusals.count == 1)
        let entry = refusals.first ?? [:]
        #expect(entry["VMDEV_TARGET"] == "work")
        #expect(entry["VMDEV_CLASS"] == "block")
        #expect(entry["VMDEV_SOURCE"] == "dom0")
        #expect(entry["VMDEV_PORT"] == missingPort)
        #expect(entry["VMDEV_IDENTITY"] == "usb-Stick_1")
        #expect(entry["VMDEV_REASON"] == Reason.deviceMissing.rawValue)
        #expect(entry["MESSAGE_ID"] == Outcome.Kind.failed.messageID.description)
        #expect(entry["PRIORITY"] == "3")
        #expect(entry["OBJECT_SYSTEMD_UNIT"] == "qemu@work.service")

        // The one that starts, and is stopped.
        #expect(boot.read("media.start-status") == "0\n", "\(boot.read("media.status"))")
        #expect(boot.read("media.show").contains("ActiveState=active"))
        #expect(!boot.entries(of: "media", containing: "dom0:\(boot.disk.port)").isEmpty)
        #expect(boot.read("media.stopped").contains("ActiveState=inactive"))
        #expect(boot.read("media.stopped").contains("Result=success"))

        // The generator: a VM that has both drop-ins is hooked once, one that was just given its first disk is hooked
        // at its next start without any other command, and one without assignments is left alone.
        #expect(boot.read("media.hooks").components(separatedBy: "path=").count == 2, "\(boot.read("media.hooks"))")
        #expect(boot.read("third.cat").contains("vmdev-apply --boot"), "\(boot.read("third.cat"))")
        #expect(boot.read("third.start-status") == "0\n", "\(boot.read("third.attach"))\(boot.read("third.start"))")
        #expect(!boot.entries(of: "third", containing: "dom0:\(boot.disk.port)").isEmpty)
        #expect(!boot.read("third.unhooked").contains("vmdev-apply"), "\(boot.read("third.unhooked"))")

        // A VM comes after the VM that exposes its device, and two that need each other are no reason to hang.
        let fourth = boot.read("fourth.show").split(separator: "\n")
        #expect(fourth.contains { $0.hasPrefix("After=") && $0.contains("qemu@sys-usb.service") }, "\(fourth)")
        #expect(fourth.contains { $0.hasPrefix("Wants=") && $0.contains("qemu@sys-usb.service") })
        // With Requires= it would be stopped with its source, and restarted with each restart of that.
        #expect(!fourth.contains { $0.hasPrefix("Requires=") && $0.contains("sys-usb") }, "\(fourth)")

        #expect(fourth.contains("SourcePath=/etc/vmdev/assignments"))
        // One of two devices is optional: without its source the VM could start, so it only wants it.
        for name in ["eighth.show", "eighth.oneshot"] {
            let eighth = boot.read(name).split(separator: "\n")
            #expect(eighth.contains { $0.hasPrefix("After=") && $0.contains("qemu@sys-net.service") }, "\(eighth)")
            #expect(eighth.contains { $0.hasPrefix("Wants=") && $0.contains("qemu@sys-net.service") }, "\(eighth)")
            #expect(!eighth.contains { $0.hasPrefix("Requires=") && $0.contains("sys-net") }, "\(eighth)")
        }
        #expect(boot.read("fourth.start-status") == "1\n", "\(boot.read("fourth.start"))")
        #expect(boot.read("fourth.start").contains("failed"), "\(boot.read("fourth.start"))")

        // A broken table is the VMs' trouble, not the host's.
        let broken = boot.read("broken").split(separator: "\n")
        #expect(broken.count == 6)
        for line in broken { #expect(line.hasPrefix("0 "), "\(line)") }
        for line in broken.dropLast() {
            #expect(line.hasPrefix("0 1 "), "work is hooked, and will say so: \(line)")
        }
        #expect(boot.read("complaints") == "")

        // The oneshot in its sandbox: one VM gets the disk, the next is told who has it.
        #expect(boot.read("fifth.start-status") == "0\n", "\(boot.read("fifth.status"))")
        #expect(!boot.entries(of: "fifth", containing: "is attached").isEmpty)
        #expect(boot.read("sixth.start-status") == "1\n")
        #expect(boot.read("sixth.status").contains("status=73/CANTCREAT"), "\(boot.read("sixth.status"))")
        let taken = boot.entries(of: "sixth", containing: "is taken by VM fifth")
        #expect(taken.first?["VMDEV_REASON"] == "taken", "\(boot.read("sixth.journal"))")

        #expect(boot.read("modes") == "755 /run/vmdev\n700 /run/vmdev/locks\n700 /run/vmdev/qmp\n")

        // Who may read the journal needs not be root, and who may not is told so.
        #expect(boot.read("reader.log-status") == "0\n", "\(boot.read("reader.log"))")
        #expect(boot.read("reader.log") == boot.read("sixth.log"))
        #expect(boot.read("stranger.log-status") == "77\n", "\(boot.read("stranger.log"))")
        #expect(boot.read("stranger.log").contains("systemd-journal"), "\(boot.read("stranger.log"))")

        // What the journal tells to whoever asks, with the catalog's explanation.
        #expect(boot.read("sixth.explained").contains("The VM does not start without it."))
        #expect(boot.read("sixth.explained").contains("VMDEV_REASON=taken"))
        let log = boot.read("sixth.log").split(separator: "\n").map(String.init)
        #expect(log.first?.contains("  sixth  REFUSED") == true, "\(log)")
        #expect(
            log.contains { $0.hasPrefix("    ! block device dom0:\(boot.disk.port) is taken by VM fifth") },
            "\(log)")
        #expect(boot.read("work.log").contains(#""verdict":"REFUSED""#), "\(boot.read("work.log"))")
        #expect(boot.read("last.log").split(separator: "\n").first?.contains("  sixth  REFUSED") == true)
    }
}
