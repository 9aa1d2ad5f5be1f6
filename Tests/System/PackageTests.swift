import Foundation
import Testing

/// Two boots of one container that a Debian package is installed, upgraded and purged in.
private final class Machine: StoryResult {
    var result: String { folder + "/result" }
    let folder = temporaryPath("package")
    let disk: LoopDisk
    private let root: String

    init(old: String, new: String) throws {
        disk = try LoopDisk()
        root = folder + "/root"
        for name in ["root", "upper", "work", "debs", "result"] {
            try FileManager.default.createDirectory(
                atPath: "\(folder)/\(name)", withIntermediateDirectories: true)
        }
        for (name, path) in [("old", old), ("new", new)] {
            let file = (path as NSString).lastPathComponent
            try FileManager.default.copyItem(atPath: path, toPath: "\(folder)/debs/\(file)")
            try "/debs/\(file)".write(toFile: "\(folder)/result/\(name)", atomically: true, encoding: .utf8)
        }
        try disk.port.write(toFile: folder + "/result/port", atomically: true, encoding: .utf8)

        let made = try Child(packageFolder + "/Tests/System/Container/make-container", [containers])
            .finish(within: .seconds(600))
        guard made.status == 0 else { throw Failure("there is no container: \(made)") }
        let lower = made.output.trimmingCharacters(in: .newlines)
        // Tmpfs below, because an overlay takes no other overlay as its upper layer.
        try tool("mount", "-t", "tmpfs", "tmpfs", folder + "/upper")
        for name in ["files", "work"] {
            try FileManager.default.createDirectory(
                atPath: "\(folder)/upper/\(name)", withIntermediateDirectories: true)
        }
        try tool(
            "mount", "-t", "overlay", "overlay", "-o",
            "lowerdir=\(lower),upperdir=\(folder)/upper/files,workdir=\(folder)/upper/work", root)
    }

    deinit {
        _ = try? run("umount", [root])
        _ = try? run("umount", [folder + "/upper"])
        try? FileManager.default.removeItem(atPath: folder)
    }

    /// Boots it; `end` is the file that the story writes last.
    func boot(until end: String) throws {
        let here = packageFolder + "/Tests/System/Container"
        let outcome = try Child(
            "systemd-nspawn",
            [
                "--quiet", "--register=no", "--keep-unit", "--console=pipe", "--directory=\(root)",
                "--bind=\(folder)/result:/result", "--bind-ro=\(folder)/debs:/debs", "--bind=\(disk.path)",
                "--bind-ro=\(here)/package-story:/story",
                "--bind-ro=\(here)/story.service:/etc/systemd/system/story.service",
                "--boot", "systemd.unit=story.service",
            ]
        ).finish(within: .seconds(300))
        guard FileManager.default.fileExists(atPath: "\(folder)/result/\(end)") else {
            throw Failure("the container did not come to its end: \(outcome)\(read("log"))")
        }
    }
}

private let containers = packageFolder + "/.build/container"

/// Makes the package of that version from the release build.
private func makePackage(_ version: String, in folder: String) throws -> String {
    let outcome = try Child(packageFolder + "/units/debian/make-deb", [folder, releaseFolder, version])
        .finish(within: .seconds(300))
    guard outcome.status == 0 else { throw Failure("there is no package: \(outcome)") }
    return outcome.output.trimmingCharacters(in: .newlines)
}

@Suite(
    "The Debian package",
    needs(
        Requirement.wholeHost, Requirement.command("systemd-nspawn", of: "systemd-container"),
        Requirement.command("mmdebstrap", of: "mmdebstrap"), Requirement.command("lintian", of: "lintian"),
        Requirement.command("dpkg-shlibdeps", of: "dpkg-dev"), Requirement.releaseBuild))
struct PackageTests {
    @Test("It installs, survives a boot, is upgraded under a running VM, and leaves nothing behind when purged")
    func life() throws {
        let packages = temporaryPath("packages")
        defer { try? FileManager.default.removeItem(atPath: packages) }
        let old = try makePackage("0.0.1-1", in: packages)
        let new = try makePackage("9999-1", in: packages)
        let lintian = try Child("lintian", ["--allow-root", "--fail-on", "error", new])
            .finish(within: .seconds(300))
        #expect(lintian.status == 0 && !lintian.output.contains("E: "), "\(lintian)")

        let machine = try Machine(old: old, new: new)
        try machine.boot(until: "first-end")
        for step in ["install", "assign", "enable"] {
            #expect(machine.read(step).hasSuffix("status 0\n"), "\(step): \(machine.read(step))")
        }
        #expect(machine.read("verify") == "status 0\n", "systemd has nothing to say against the unit")
        #expect(
            machine.read("folders") == """
                755 root:root /run/vmdev
                700 root:root /run/vmdev/locks
                700 root:root /run/vmdev/qmp
                755 root:root /etc/vmdev
                status 0

                """)
        #expect(machine.read("table") == "644 root:root\nstatus 0\n")
        #expect(machine.read("catalog").contains(" vmdevctl: "), "journalctl -x knows our entries")

        try machine.boot(until: "end")
        for step in ["boot", "attached", "upgrade", "still-attached", "restart", "remove", "kept", "purge"] {
            #expect(machine.read(step).hasSuffix("status 0\n"), "\(step): \(machine.read(step))")
        }
        let device = "dom0:\(machine.disk.port)"
        #expect(machine.read("attached").contains("work (attached)"), "\(machine.read("journal"))")
        #expect(machine.read("before-upgrade").contains("ActiveState=active"))
        #expect(machine.read("after-upgrade") == machine.read("before-upgrade"), "the VM runs on")
        #expect(machine.read("still-attached") == machine.read("attached"))
        #expect(machine.read("version") == "9999-1 installed\nstatus 0\n")
        #expect(machine.read("remove").contains("from now on no VM gets its devices"))
        #expect(machine.read("kept").contains(device), "removing keeps the table")
        #expect(
            machine.read("left") == "/etc/vmdev\n/etc/vmdev/qemu\n/etc/vmdev/qemu/work.conf\n",
            "the administrator's own file is all that is left")
    }
}
