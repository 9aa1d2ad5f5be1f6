import Applying
import Foundation
import Systemd
import Testing

/// One boot of a container with a real systemd and what `make install` installs: `work` has a disk of the VM sys-usb.
private final class SourceBoot: StoryResult {
    let folder = temporaryPath("source-units")
    var result: String { folder + "/result" }
    let disk: LoopDisk

    init() throws {
        disk = try LoopDisk()
        let tree = folder + "/tree"
        try FileManager.default.createDirectory(atPath: result, withIntermediateDirectories: true)
        let programs = (try program("vmdev-apply") as NSString).deletingLastPathComponent
        try tool("make", "--silent", "-C", packageFolder, "install", "RELEASE=\(programs)", "DESTDIR=\(tree)")
        try disk.port.write(toFile: result + "/port", atomically: true, encoding: .utf8)
        try bootContainer(sharing: result, disk: disk, story: "source-story", tree: tree)
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    /// What was told of devices, by kind.
    func entries(_ name: String, _ kind: Outcome.Kind) -> [[String: String]] {
        entries(name).filter { $0["MESSAGE_ID"] == kind.messageID.description }
    }
}

@Suite(
    "A source VM under systemd",
    needs(
        Requirement.wholeHost, Requirement.command("systemd-nspawn", of: "systemd-container"),
        Requirement.command("mmdebstrap", of: "mmdebstrap")))
struct SourceUnitTests {
    @Test(
        "Nothing runs when idle, exports end with their VM, and what a killed source had given is lost and comes back once"
    )
    func story() throws {
        let boot = try SourceBoot()
        let port = boot.disk.port
        func isIdle(_ name: String, sourceLocation: SourceLocation = #_sourceLocation) {
            #expect(boot.read(name) == "", "\(name)", sourceLocation: sourceLocation)
        }
        /// Tells of the disk, each field of it, and that once.
        func isToldOnce(
            _ kind: Outcome.Kind, in name: String, sourceLocation: SourceLocation = #_sourceLocation
        ) {
            let entries = boot.entries(name, kind)
            #expect(entries.count == 1, "\(name): \(boot.read(name))", sourceLocation: sourceLocation)
            let fields = ["TARGET", "CLASS", "SOURCE", "PORT"].map { entries.first?["VMDEV_" + $0] }
            #expect(fields == ["work", "block", "sys-usb", port], sourceLocation: sourceLocation)
        }
        let given = #"{"class":"block","port":"\#(port)","target":"work"}"#

        // One request, one process, and then none.
        boot.expect("enable", "status 0")
        isIdle("idle")
        boot.expect("answer", #""port":"\#(port)""#)
        boot.expect("accepted.before", "NAccepted=0")
        boot.expect("accepted.after", "NAccepted=1")
        isIdle("idle.after")
        boot.expect("nothing", #""kind":"request""#)
        boot.expect("nonsense", #""kind":"request""#)
        isIdle("failed")
        boot.expect("modes", "700 /run/source/locks")

        // An export for as long as its VM.
        boot.expect("work.start", "status 0")
        boot.expect("both", "active\nactive\n")
        boot.expect("status", given)
        boot.expect("exporting", "vmdev-export@", "qemu-nbd")
        isIdle("target.killed")
        boot.expect(
            "export.journal", "the export of \(port) to VM work has ended: its VM does not have it any more")
        boot.expect("work.again", "status 0")

        // The source is killed, and is back.
        isIdle("source.killed")
        isToldOnce(.lost, in: "lost.journal")
        boot.expect("source.again", "status 0")
        boot.expect("up", "status 0")
        isToldOnce(.reattached, in: "back.journal")
        boot.expect("back.status", given)
        boot.expect("up.again", "status 0")
        isIdle("again.journal")
        #expect(!boot.read("up.running").contains("vmdev-apply"), "\(boot.read("up.running"))")
        #expect(boot.read("main") == "same\n", "the VM was not started anew")

        // Stopped, and back after a while.
        boot.expect("source.stop", "status 0")
        #expect(boot.read("after-stop") == "active\n")
        boot.expect("source.slow", "status 0")
        boot.expect("slow", "ActiveState=activating", "StatusText=waiting for VM sys-usb")
        boot.expect("slow.up", "status 0")
        isToldOnce(.reattached, in: "slow.journal")

        // Calls of the source.
        boot.expect("announce", "status 0")
        isIdle("announce.journal")
        isIdle("announce.units")
        isToldOnce(.reattached, in: "broken.journal")
        boot.expect("broken.status", given)

        // A source that gives nothing.
        for (name, status, reason) in [
            ("silent", "status=75/TEMPFAIL", Reason.sourceSilent),
            ("dead", "status=69/UNAVAILABLE", .sourceNotRunning),
        ] {
            boot.expect("\(name).start", "status 1")
            boot.expect("\(name).unit", status)
            isToldOnce(.failed, in: "\(name).journal")
            #expect(boot.entries("\(name).journal", .failed).first?["VMDEV_REASON"] == reason.rawValue)
        }
        isIdle("end.running")
        #expect(
            !boot.read("log").contains("not so in time"), "\(boot.read("log"))\n\(boot.read("source.ends"))")
    }
}
