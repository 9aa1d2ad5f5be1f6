import Applying
import Foundation
import Systemd
import Testing

@Suite("The unit files", needs(Requirement.command("systemd-analyze", of: "systemd")))
struct UnitFileTests {
    @Test("systemd has nothing to say against any of the units, with the drop-ins")
    func verify() throws {
        #expect(try verify { $0 } == "")
    }

    @Test("A misspelt setting would be found, so that silence means something")
    func verifyFinds() throws {
        let report = try verify { $0.replacingOccurrences(of: "NotifyAccess=", with: "NotifyAcess=") }
        #expect(report.contains("NotifyAcess"))
    }

    @Test(
        "What runs by itself is exposed at 2.5 at most",
        arguments: [
            "vmdev@", "vmdev-started@", "vmdev-replug@", "vmdev-source@", "vmdev-announced",
            "vmdev-announce@", "libvirt-vm@",
        ])
    func exposure(name: String) throws {
        let outcome = try run(
            "systemd-analyze",
            ["security", "--offline=yes", "--no-pager", "--threshold=25", packageFolder + "/units/\(name).service"])
        #expect(outcome.status == 0, "\(outcome.output.suffix(200))\(outcome.errors)")
    }

    @Test("So is the example unit in its sandbox")
    func sandbox() throws {
        let outcome = try staged(dropIn: { $0 }) { root, _ in
            try run(
                "systemd-analyze",
                [
                    "security", "--offline=yes", "--no-pager", "--threshold=25", "--root=\(root)",
                    "qemu@work.service",
                ])
        }
        #expect(outcome.status == 0, "\(outcome.output.suffix(200))\(outcome.errors)")
    }

    @Test("The message catalog explains every kind of entry, and journald's compiler takes it")
    func catalog() throws {
        let text = try String(contentsOfFile: packageFolder + "/units/vmdev.catalog", encoding: .utf8)
        for kind in Outcome.Kind.allCases {
            #expect(text.contains("\n-- \(kind.messageID)\nSubject: "), "\(kind)")
        }
        let root = temporaryPath("catalog")
        defer { try? FileManager.default.removeItem(atPath: root) }
        for folder in ["/usr/lib/systemd/catalog", "/var/lib/systemd/catalog"] {
            try FileManager.default.createDirectory(atPath: root + folder, withIntermediateDirectories: true)
        }
        try text.write(
            toFile: root + "/usr/lib/systemd/catalog/vmdev.catalog", atomically: true, encoding: .utf8)
        try tool("journalctl", "--root=\(root)", "--update-catalog")
        let listed = try run("journalctl", ["--root=\(root)", "--list-catalog"]).output
        #expect(listed.split(separator: "\n").count >= Outcome.Kind.allCases.count)
    }

    @Test("Locks and monitors are for root alone")
    func folders() throws {
        let root = temporaryPath("staged")
        defer { try? FileManager.default.removeItem(atPath: root) }
        try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
        try tool("systemd-tmpfiles", "--root=\(root)", "--create", packageFolder + "/units/tmpfiles.d/vmdev.conf")
        let modes = try ["", "/locks", "/qmp"].map {
            try FileManager.default.attributesOfItem(atPath: "\(root)/run/vmdev\($0)")[.posixPermissions] as? Int
        }
        #expect(modes == [0o755, 0o700, 0o700])
    }

    /// What `systemd-analyze verify` says of all units.
    private func verify(dropIn change: (String) -> String) throws -> String {
        let outcome = try staged(dropIn: change) { root, names in
            try run("systemd-analyze", ["verify", "--root=\(root)"] + names)
        }
        return outcome.output + outcome.errors
    }

    /// Asks about all units, by their names, in a folder that has all they refer to.
    private func staged(
        dropIn change: (String) -> String, _ ask: (String, [String]) throws -> Child.Outcome
    ) throws -> Child.Outcome {
        let root = temporaryPath("staged")
        defer { try? FileManager.default.removeItem(atPath: root) }
        let units = root + "/etc/systemd/system"
        let staged = [
            "/etc/systemd/system/qemu@.service.d", "/etc/vmdev/qemu", "/usr/lib/vmdev", "/usr/bin",
            "/usr/lib/systemd/system", "/usr/lib/systemd/system/qubes-vm@.service.d",
        ]
        for folder in staged {
            try FileManager.default.createDirectory(atPath: root + folder, withIntermediateDirectories: true)
        }
        func source(_ name: String) throws -> String {
            try String(contentsOfFile: "\(packageFolder)/units/\(name)", encoding: .utf8)
        }
        let files = try FileManager.default.contentsOfDirectory(atPath: packageFolder + "/units").sorted()
            .filter { $0.hasSuffix(".service") || $0.hasSuffix(".socket") }
        for file in files {
            try source(file).write(toFile: "\(units)/\(file)", atomically: true, encoding: .utf8)
        }
        try change(source("vmdev.conf"))
            .write(toFile: units + "/qemu@.service.d/vmdev.conf", atomically: true, encoding: .utf8)
        try source("sandbox.conf")
            .write(toFile: units + "/qemu@.service.d/sandbox.conf", atomically: true, encoding: .utf8)
        try source("work.conf").write(toFile: root + "/etc/vmdev/qemu/work.conf", atomically: true, encoding: .utf8)
        for program in [
            "/usr/lib/vmdev/vmdev-apply", "/usr/lib/vmdev/vmdev-export", "/usr/lib/vmdev/libvirt-vm",
            "/usr/bin/qemu-system-x86_64",
        ] {
            try FileManager.default.copyItem(atPath: "/bin/true", toPath: root + program)
        }
        try tool(
            "sh", "-c",
            "cp /lib/systemd/system/*.target /lib/systemd/system/*.slice \(root)/usr/lib/systemd/system/")
        try source("qubes-vm@.service.d/50-vmdev.conf").write(
            toFile: root + "/usr/lib/systemd/system/qubes-vm@.service.d/50-vmdev.conf", atomically: true,
            encoding: .utf8)
        try "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/usr/lib/vmdev/vmdev-apply -- %i\n".write(
            toFile: units + "/qubes-vm@.service", atomically: true, encoding: .utf8)
        let names = files.map { $0.replacingOccurrences(of: "@.", with: "@work.") } + ["qubes-vm@work.service"]
        return try ask(root, names)
    }
}
