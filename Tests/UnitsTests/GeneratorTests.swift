import Foundation
import Platform
import Testing
import Units

@Suite("Hooking the units of VMs")
struct GeneratorTests {
    /// Runs the generator on a table and settings; answers the files it made, by their path, and its complaints.
    private func generate(_ table: String?, settings: String = "") throws -> (
        files: [String: String], said: [String]
    ) {
        let root = "/tmp/vmdev-generator-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: root) }
        try FileManager.default.createDirectory(atPath: root + "/etc/vmdev", withIntermediateDirectories: true)
        try FileManager.default.createDirectory(atPath: root + "/out", withIntermediateDirectories: true)
        try table?.write(toFile: root + "/etc/vmdev/assignments", atomically: true, encoding: .utf8)
        try settings.write(toFile: root + "/etc/vmdev/vmdev.conf", atomically: true, encoding: .utf8)
        var said: [String] = []
        Generator(root: Root(root)).run(into: root + "/out") { said.append($0) }
        var files: [String: String] = [:]
        for path in FileManager.default.subpaths(atPath: root + "/out") ?? [] where path.hasSuffix(".conf") {
            files[path] = try String(contentsOfFile: root + "/out/" + path, encoding: .utf8)
                .replacing(root, with: "")
        }
        return (files, said)
    }

    @Test("A VM with rows is hooked, and comes after its sources; one without is left alone")
    func hooked() throws {
        let (files, said) = try generate("work block dom0:sda required\nwork usb sys-usb:2-1 required\n")
        #expect(said.isEmpty)
        #expect(
            files.keys.sorted() == [
                "qemu@work.service.d/vmdev-needs.conf", "qemu@work.service.d/vmdev.conf",
                "vmdev@work.service.d/vmdev-needs.conf",
            ])
        // A name of its own: a vmdev.conf in /etc, for all VMs of a template, is taken in place of ours.
        for unit in ["qemu@work", "vmdev@work"] {
            #expect(
                files["\(unit).service.d/vmdev-needs.conf"]?.split(separator: "\n").dropFirst() == [
                    "[Unit]", "SourcePath=/etc/vmdev/assignments", "Wants=qemu@sys-usb.service",
                    "After=qemu@sys-usb.service",
                ])
        }
        #expect(
            files["qemu@work.service.d/vmdev.conf"] == """
                # Made by vmdev-generator: change the assignments instead, and run 'systemctl daemon-reload'.
                [Unit]
                SourcePath=/etc/vmdev/assignments

                [Service]
                ExecStartPost=+/usr/lib/vmdev/vmdev-apply --boot work
                ExecStopPost=+/usr/lib/vmdev/vmdev-apply --release work
                NotifyAccess=exec

                """)
    }

    @Test("The unit's name is the setting's", arguments: ["qubes-vm@%i.service", "vm-%i.service"])
    func unitName(pattern: String) throws {
        let (files, _) = try generate("work usb sys:2-1 auto-attach\n", settings: "[Host]\nVMUnit=\(pattern)\n")
        let unit = { (vm: String) in pattern.replacing("%i", with: vm) }
        #expect(files["\(unit("work")).d/vmdev.conf"] != nil)
        let text = try #require(files["\(unit("work")).d/vmdev-needs.conf"])
        #expect(text.contains("Wants=\(unit("sys"))\nAfter=\(unit("sys"))\n"))
        #expect(!text.contains("Requires="))
    }

    @Test(
        "On Qubes OS the copy of what qubesd keeps decides, found by its setting or by its files",
        arguments: [false, true])
    func qubes(isFound: Bool) throws {
        let root = "/tmp/vmdev-generator-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: root) }
        for folder in ["/etc/vmdev", "/var/lib/vmdev", "/var/lib/qubes", "/out"] {
            try FileManager.default.createDirectory(atPath: root + folder, withIntermediateDirectories: true)
        }
        func write(_ text: String, _ path: String) throws {
            try text.write(toFile: root + path, atomically: true, encoding: .utf8)
        }
        try write("work usb sys-usb:2-1 required\nwork usb dom0:1-1 required\n", "/var/lib/vmdev/qubes-assignments")
        try write("other block dom0:sda required\n", "/etc/vmdev/assignments")
        if isFound {
            try write("<qubes/>", "/var/lib/qubes/qubes.xml")
        } else {
            try write("[Host]\nHypervisor=qubes\nDeviceTimeoutSec=5min\n", "/etc/vmdev/vmdev.conf")
        }
        var said: [String] = []
        Generator(root: Root(root)).run(into: root + "/out") { said.append($0) }
        #expect(said.isEmpty)
        let files = (FileManager.default.subpaths(atPath: root + "/out") ?? []).filter { !$0.hasSuffix(".d") }
        #expect(
            files.sorted() == [
                "qubes-vm@work.service.d/50-vmdev.conf", "qubes-vm@work.service.d/vmdev-needs.conf", "vmdev",
                "vmdev/known",
            ])
        func lines(_ name: String) throws -> ArraySlice<Substring> {
            try String(contentsOfFile: root + "/out/qubes-vm@work.service.d/" + name, encoding: .utf8)
                .split(separator: "\n").dropFirst(3)
        }
        #expect(
            try lines("vmdev-needs.conf") == ["Wants=qubes-vm@sys-usb.service", "After=qubes-vm@sys-usb.service"])
        #expect(
            try lines("50-vmdev.conf") == [
                "[Service]",
                "ExecStartPre=+/usr/lib/vmdev/vmdev-apply --prepare work",
                "ExecStartPost=+/usr/lib/vmdev/vmdev-apply --boot work", "NotifyAccess=exec",
            ])
    }

    @Test(
        "A start that may wait long for a device is given the time for it",
        arguments: [
            ("timeout=10s", "", nil), ("-", "", nil), ("timeout=5min", "", "390s"),
            ("-", "[Host]\nDeviceTimeoutSec=2min\n", "210s"),
            ("timeout=1s", "[Host]\nDeviceTimeoutSec=2min\n", nil),
            ("timeout=infinity", "", "infinity"),
        ] as [(String, String, String?)])
    func startTimeout(options: String, settings: String, expected: String?) throws {
        let table = "work block dom0:sda required \(options)\nwork block dom0:sdb required timeout=1s\n"
        let text = try generate(table, settings: settings).files["qemu@work.service.d/vmdev-needs.conf"] ?? ""
        let line = text.split(separator: "\n").first { $0.hasPrefix("TimeoutStartSec=") }
        #expect(line.map(String.init) == expected.map { "TimeoutStartSec=" + $0 })
    }

    @Test("A wrong row is told, and its VM is hooked all the same, so that it fails by itself")
    func wrongRow() throws {
        let (files, said) = try generate("work block dom0:sda reqired\nmedia block dom0:sdb required\n")
        #expect(files.keys.sorted() == ["qemu@media.service.d/vmdev.conf", "qemu@work.service.d/vmdev.conf"])
        #expect(said.count == 1)
        #expect(said.first?.contains("assignments:1:") == true)
    }

    @Test("Beside the drop-ins is what the udev rule looks for, and the mark of completeness")
    func markers() throws {
        let root = "/tmp/vmdev-generator-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: root) }
        try FileManager.default.createDirectory(atPath: root + "/etc/vmdev", withIntermediateDirectories: true)
        try FileManager.default.createDirectory(atPath: root + "/out", withIntermediateDirectories: true)
        try "work usb dom0:2-1 required\nwork block dom0:sda auto-attach\n"
            .write(toFile: root + "/etc/vmdev/assignments", atomically: true, encoding: .utf8)
        Generator(root: Root(root)).run(into: root + "/out") { _ in }
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: root + "/out/vmdev").sorted() == [
                "block:port:sda", "known", "usb:port:2-1",
            ])
    }

    @Test(
        "When a VM that exposes devices comes up or ends, those that have something assigned of it are looked after"
    )
    func sourceHook() throws {
        let table = "work usb sys-usb:2-1 required\nmedia usb other:2-1 required\n"
        let (files, _) = try generate(table, settings: "[Source sys-usb]\nAddress=vsock:3:4900\n")
        let text = try #require(files["qemu@sys-usb.service.d/vmdev-source.conf"])
        for line in [
            "Wants=vmdev-source@sys-usb.service", "Before=vmdev-source@sys-usb.service",
            "PropagatesStopTo=vmdev-source@sys-usb.service",
            "ExecStopPost=-+/usr/lib/vmdev/vmdev-apply --source-changed=sys-usb",
        ] { #expect(text.split(separator: "\n").contains { $0 == line }, "\(line)") }
        #expect(files["qemu@other.service.d/vmdev-source.conf"] == nil, "it is none that vmdev.conf names")
    }

    @Test("Without a table there is nothing to do")
    func noTable() throws {
        let (files, said) = try generate(nil)
        #expect(files.isEmpty && said.isEmpty)
    }

    @Test(
        "Settings that are wrong are told, and the defaults hold",
        arguments: ["VMUnit=../../etc/%i.service", "VMUnit=x"])
    func wrongSettings(line: String) throws {
        let (files, said) = try generate("work block dom0:sda required\n", settings: "[Host]\n\(line)\n")
        #expect(files.keys.sorted() == ["qemu@work.service.d/vmdev.conf"])
        #expect(said.count == 1)
    }

    @Test("A circle of needs is told once")
    func circle() throws {
        let (files, said) = try generate("a usb b:2-1 required\nb usb a:2-1 required\n")
        #expect(files.keys.filter { $0.hasPrefix("qemu@") && $0.hasSuffix("/vmdev.conf") }.count == 2)
        #expect(said == ["these VMs need each other's devices and cannot be ordered: a needs b needs a"])
    }
}
