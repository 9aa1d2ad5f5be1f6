import Foundation
import Glibc
import Testing

/// The libvirt of a user who is not root, with a host in the user's own folder. Its daemons end with the value.
private final class UserSession {
    static let user: uid_t = 65_534
    let host: ScratchHost
    let folder = temporaryPath("session")
    private let disk: LoopDisk
    private let programs: [String: String]

    init(disk: LoopDisk) throws {
        host = try ScratchHost()
        for name in ["", "/run", "/home"] {
            try FileManager.default.createDirectory(
                atPath: folder + name, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        }
        // The user's own copies: what is built may be in a folder that is not for others.
        var programs: [String: String] = [:]
        for name in ["vmdev-apply", "vmdevctl"] {
            programs[name] = "\(folder)/\(name)"
            try FileManager.default.copyItem(atPath: program(name), toPath: "\(folder)/\(name)")
        }
        self.programs = programs
        try """
        <domain type='qemu'><name>work</name><memory unit='MiB'>32</memory><vcpu>1</vcpu>
        <os><type arch='x86_64' machine='q35'>hvm</type></os><features><acpi/></features>
        <devices><controller type='pci' model='pcie-root'/><controller type='usb' model='none'/>
        <controller type='pci' model='pcie-root-port'/><memballoon model='none'/></devices></domain>
        """.write(toFile: folder + "/work.xml", atomically: true, encoding: .utf8)
        try host.write(
            "/etc/vmdev/vmdev.conf", "[Host]\nHypervisor=libvirt\n[Libvirt]\nURI=qemu:///session\nTimeoutSec=2min\n"
        )
        try tool("chown", "-R", "\(UserSession.user):\(UserSession.user)", folder, host.root)
        self.disk = disk
        try tool("chmod", "666", disk.path)
    }

    deinit {
        _ = try? virsh("destroy", "work")
        _ = try? tool("chmod", "660", disk.path)
        for name in ["libvirtd.pid", "virtlogd.pid"] {
            let text = try? String(contentsOfFile: "\(folder)/run/libvirt/\(name)", encoding: .utf8)
            if let pid = text.flatMap({ pid_t($0.trimmingCharacters(in: .whitespacesAndNewlines)) }) {
                kill(pid, SIGTERM)
            }
        }
        try? FileManager.default.removeItem(atPath: folder)
    }

    func virsh(_ arguments: String...) throws -> Child.Outcome {
        try asUser(["virsh", "--quiet", "--connect", "qemu:///session"] + arguments)
    }

    func call(_ name: String, _ arguments: String...) throws -> Child.Outcome {
        try asUser([programs[name] ?? "", "--root=\(host.root)"] + arguments)
    }

    private func asUser(_ words: [String]) throws -> Child.Outcome {
        try Child(
            "setpriv",
            [
                "--reuid=\(UserSession.user)", "--regid=\(UserSession.user)", "--clear-groups", "env",
                "XDG_RUNTIME_DIR=\(folder)/run", "HOME=\(folder)/home", "LC_ALL=C",
            ] + words
        ).finish()
    }
}

@Suite(
    "A user's own libvirt",
    needs(
        Requirement.wholeHost, Requirement.command("virsh", of: "libvirt-clients"),
        Requirement.command("libvirtd", of: "libvirt-daemon")))
struct LibvirtSessionTests {
    @Test("With URI=qemu:///session a user's VM has its disk at its start, or does not start, without root")
    func session() throws {
        let disk = try LoopDisk()
        let session = try UserSession(disk: disk)
        try session.host.assign("work block dom0:\(disk.port) required -")
        #expect(try session.virsh("create", "--paused", session.folder + "/work.xml").status == 0)
        let outcome = try session.call("vmdev-apply", "--boot", "work")
        #expect(outcome.status == 0, "\(outcome)")
        #expect(try session.virsh("domstate", "work").output.contains("running"))
        #expect(try session.virsh("dumpxml", "work").output.contains("ua-vmdev-\(disk.port)"))
        #expect(try session.call("vmdevctl", "block", "list").output.contains("work (attached)"))

        _ = try session.virsh("destroy", "work")
        #expect(try !session.call("vmdevctl", "block", "list").output.contains("work (attached)"))
        try session.host.assign("work block dom0:\(missingPort) required -")
        #expect(try session.virsh("create", "--paused", session.folder + "/work.xml").status == 0)
        let refusal = try session.call("vmdev-apply", "--boot", "work")
        #expect(refusal.status == 69, "\(refusal)")
        #expect(refusal.errors.contains("VM work: block device dom0:\(missingPort) is not there"), "\(refusal)")
        #expect(try !session.virsh("list", "--name").output.contains("work"))
    }
}
