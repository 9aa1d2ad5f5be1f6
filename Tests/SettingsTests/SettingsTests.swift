import Devices
import Foundation
import Platform
import Settings
import Testing

@Suite struct SettingsTests {
    /// A folder with these files below /etc/vmdev; it goes with the last reference.
    private final class Host: Sendable {
        let root: Root

        init(_ files: [String: [UInt8]]) throws {
            var template = Array("/tmp/vmdev-settings.XXXXXX".utf8CString)
            root = Root(String(cString: try #require(mkdtemp(&template))))
            try makeFolders(root.path("/etc/vmdev/vmdev.conf.d"))
            for (name, bytes) in files {
                try Data(bytes).write(to: URL(fileURLWithPath: root.path("/etc/vmdev/" + name)))
            }
        }

        convenience init(_ text: String) throws { try self.init(["vmdev.conf": Array(text.utf8)]) }

        deinit { try? FileManager.default.removeItem(atPath: root.prefix) }

        func path(_ name: String) -> String { root.path("/etc/vmdev/" + name) }
    }

    /// What the settings say, for comparing.
    private func summary(_ settings: Settings) throws -> String {
        let socket = settings.qmpSocket.text(for: try VMName("work"))
        return "\(settings.hypervisor) \(socket) \(settings.qmpTimeout)"
    }

    private static let standard = "auto /run/vmdev/qmp/work.sock 10.0 seconds"

    @Test("Without any file all settings have their defaults")
    func defaults() throws {
        let nowhere = Root("/nonexistent/vmdev")
        let settings = try Settings(root: nowhere)
        #expect(settings.hypervisor == .auto)
        #expect(settings.qmpSocket.text(for: try VMName("work")) == "/run/vmdev/qmp/work.sock")
        #expect(settings.qmpTimeout == .seconds(10))
        #expect(settings.warnings == [])
        #expect(try summary(Settings()) == SettingsTests.standard)
    }

    @Test(
        "libvirt's VMs have a unit of their own, unless another is named",
        arguments: [
            ("[Host]\nHypervisor=libvirt\n", "libvirt-vm@work.service qemu:///system 30.0 seconds"),
            ("[Host]\nVMUnit=vm-%i.service\nHypervisor=libvirt\n", "vm-work.service qemu:///system 30.0 seconds"),
            ("[Libvirt]\nURI=qemu:///session\nTimeoutSec=1min\n", "qemu@work.service qemu:///session 60.0 seconds"),
            ("[Libvirt]\nURI=qemu:///session\nURI=\n", "qemu@work.service qemu:///system 30.0 seconds"),
        ])
    func libvirt(text: String, expected: String) throws {
        let host = try Host(text)
        let settings = try Settings(root: host.root)
        #expect(
            try "\(settings.vmUnit.text(for: VMName("work"))) \(settings.libvirtURI) \(settings.libvirtTimeout)"
                == expected)
    }

    @Test(
        "Another host's libvirt is refused, with what may be written",
        arguments: ["qemu+ssh://host/system", "xen:///system", "qemu:///", "qemu:///system?socket=/x"])
    func otherURI(uri: String) throws {
        let host = try Host("[Libvirt]\nURI=\(uri)\n")
        let error = #expect(throws: SettingsError.self) { try Settings(root: host.root) }
        #expect(error?.description.contains("expected qemu:///system or qemu:///session") == true)
    }

    @Test(
        "How long devices are waited for is a time span, and nothing leaves it to the host",
        arguments: [
            ("DeviceTimeoutSec=1min 30s", Duration.seconds(90)), ("DeviceTimeoutSec=0", .zero),
            ("DeviceTimeoutSec=", nil), ("DeviceTimeoutSec=5\nDeviceTimeoutSec=", nil),
        ])
    func deviceTimeout(lines: String, expected: Duration?) throws {
        let host = try Host("[Host]\n\(lines)\n")
        #expect(try Settings(root: host.root).deviceTimeout == expected)
    }

    @Test(
        "Settings are read as systemd reads its own files",
        arguments: [
            ("", standard),
            ("[Host]\nHypervisor=qemu\n", "qemu /run/vmdev/qmp/work.sock 10.0 seconds"),
            ("[Host]\r\nHypervisor=qemu\r\n", "qemu /run/vmdev/qmp/work.sock 10.0 seconds"),
            ("\u{feff}[Host]\nHypervisor=qemu", "qemu /run/vmdev/qmp/work.sock 10.0 seconds"),
            ("  [Host]\t\n \tHypervisor \t= \tqemu \t\n", "qemu /run/vmdev/qmp/work.sock 10.0 seconds"),
            ("[Host]\n# Hypervisor=qemu\n ;Hypervisor=qemu\n", standard),
            ("# \0\n; \0\n", standard),
            ("[Host]\nHypervisor=qemu\nHypervisor=auto\n", standard),
            ("[Host]\nHypervisor=qemu\nHypervisor=\n", standard),
            ("[Host]\nHypervisor=\\\n# between\n  qemu\n", "qemu /run/vmdev/qmp/work.sock 10.0 seconds"),
            (
                "[Host]\n[QEMU]\nQMPTimeoutSec=1min\n[Host]\nHypervisor=qemu",
                "qemu /run/vmdev/qmp/work.sock 60.0 seconds"
            ),
            ("[QEMU]\nQMPSocket=/run/qemu/%i/50%%=q.sock\n", "auto /run/qemu/work/50%=q.sock 10.0 seconds"),
            ("[QEMU]\nQMPSocket=/x/%i\nQMPSocket=\nQMPTimeoutSec=3\nQMPTimeoutSec=", standard),
            ("[QEMU]\nQMPTimeoutSec=1.5s", "auto /run/vmdev/qmp/work.sock 1.5 seconds"),
        ])
    func good(_ text: String, _ means: String) throws {
        let host = try Host(text)
        let settings = try Settings(root: host.root)
        let found = try summary(settings).replacingOccurrences(of: host.root.prefix, with: "")
        #expect(found == means)
        #expect(settings.warnings == [])
    }

    @Test(
        "A wrong value is an error with its line and what was expected",
        arguments: [
            ("[Host]\nHypervisor=xen", 2, ["'xen' is not a valid Hypervisor: expected auto or qemu"]),
            ("[Host]\nHypervisor=QEMU", 2, ["auto or qemu"]),
            ("[Host]\nHypervisor=auto  # or qemu", 2, ["a comment has a line of its own"]),
            ("[Host]\n\nHypervisor=vmware", 3, ["vmware", "auto or qemu"]),
            ("[Host]\nHypervisor=xen\nHypervisor=qemu", 2, ["'xen'"]),
            ("[QEMU]\nQMPSocket=run/%i.sock", 2, ["absolute path", "%i"]),
            ("[QEMU]\nQMPSocket=/run/qmp.sock", 2, ["%i (the name of the VM) in it once"]),
            ("[QEMU]\nQMPSocket=/run/%i/%i", 2, ["once"]),
            ("[QEMU]\nQMPSocket=/run/%n.sock", 2, ["written %%"]),
            ("[QEMU]\nQMPSocket=/run/%i%", 2, ["written %%"]),
            ("[QEMU]\nQMPSocket=/run/%%i", 2, ["once"]),
            ("[QEMU]\nQMPSocket=/run/%i/", 2, ["absolute path"]),
            ("[QEMU]\nQMPSocket=/run/\u{1b}%i", 2, ["'/run/?%i'"]),
            ("[QEMU]\nQMPTimeoutSec=soon", 2, ["'soon'", "1min 30s"]),
            ("[QEMU]\nQMPTimeoutSec=0", 2, ["longer than 0"]),
            ("[QEMU]\nQMPTimeoutSec=\\\n\n# x\nsoon", 5, ["NAME=VALUE"]),
            ("[QEMU]\n#\nQMPTimeoutSec=a\\\nb\n", 3, ["'a b'"]),
            ("[Host\nHypervisor=qemu", 1, ["'[Host' is not a valid section"]),
            ("[]\n", 1, ["is not a valid section"]),
            ("[Host]\nHypervisor", 2, ["'Hypervisor' is not a valid setting: expected NAME=VALUE"]),
            ("[Host]\n=qemu", 2, ["NAME=VALUE"]),
            ("[Host]\nHypervisor=qe\0mu", 2, ["NUL"]),
            ("[Host]\nunknown=\0", 2, ["NUL"]),
        ] as [(String, Int, [String])])
    func bad(_ text: String, _ line: Int, _ says: [String]) throws {
        let host = try Host(text)
        let error = try #require(throws: SettingsError.self) { try Settings(root: host.root) }
        #expect(error.description.hasPrefix("\(host.path("vmdev.conf")):\(line): "), "\(error)")
        #expect(!error.description.contains("\n"))
        for part in says { #expect(error.description.contains(part), "\(error)") }
    }

    @Test("Bytes that are no UTF-8 are an error with their line, except in a comment")
    func invalidUTF8() throws {
        let host = try Host(["vmdev.conf": Array("[Host]\n#".utf8) + [0xff, 0x0a, 0xc3, 0x28]])
        let error = try #require(throws: SettingsError.self) { try Settings(root: host.root) }
        #expect(error.description.hasPrefix("\(host.path("vmdev.conf")):3: "))
        #expect(error.description.contains("UTF-8"))
    }

    @Test("All that is wrong is told at once, in the order of files and lines")
    func allProblems() throws {
        let host = try Host([
            "vmdev.conf": Array("[Host]\nHypervisor=xen\nrubbish\n[QEMU]\nQMPTimeoutSec=x".utf8),
            "vmdev.conf.d/a.conf": Array("[QEMU]\nQMPSocket=x".utf8),
        ])
        let error = try #require(throws: SettingsError.self) { try Settings(root: host.root) }
        guard case .invalid(let problems) = error else { throw error }
        #expect(problems.map(\.line) == [2, 3, 5, 2])
        #expect(problems.last?.file == host.path("vmdev.conf.d/a.conf"))
    }

    @Test("Each [Source NAME] names a VM that exposes devices; the later address counts, an empty one is none")
    func sources() throws {
        let text = "[Source a]\nAddress=vsock:3:4900\n[Source b]\nAddress=tcp:10.0.0.2:4900\n[Source b]\nAddress=\n"
        let host = try Host(text + "[Source a]\nAddress=unix:/run/a\n")
        let settings = try Settings(root: host.root)
        #expect(settings.sources.map { "\($0.name) \($0.address)" } == ["a unix:/run/a"])
        #expect(settings.warnings.isEmpty)
    }

    @Test(
        "A source that is no VM, or an address that is none, is an error with its line",
        arguments: ["[Source dom0]", "[Source]", "[Source a b]", "[Source x]\nAddress=localhost:4900"])
    func wrongSources(text: String) throws {
        let host = try Host(text)
        let error = try #require(throws: SettingsError.self) { try Settings(root: host.root) }
        #expect(error.description.hasPrefix("\(host.path("vmdev.conf")):\(text.contains("\n") ? 2 : 1): "))
    }

    @Test("Unknown settings and sections are warnings with their line, and the rest counts")
    func warnings() throws {
        let host = try Host(
            "Early=1\n[Host]\nHypervisors=qemu\nHypervisor=qemu\n[Other x]\nAddress=vsock:3:4900\n[X\u{1b}]\n[QEMU]\nA=\n"
        )
        let settings = try Settings(root: host.root)
        #expect(settings.hypervisor == .qemu)
        #expect(settings.warnings.map(\.line) == [1, 3, 5, 7, 9])
        let text = settings.warnings.map(\.description).joined(separator: "\n")
        #expect(text.contains("\(host.path("vmdev.conf")):3: unknown setting 'Hypervisors' in [Host]"))
        #expect(text.contains(":5: unknown section [Other x]"))
        #expect(text.contains(":7: unknown section [X?]"))
        #expect(text.contains(":1: 'Early' stands before any section"))
    }

    @Test("Drop-ins count after the file itself, in the order of their names, and only *.conf")
    func dropIns() throws {
        func file(_ seconds: Int) -> [UInt8] { Array("[QEMU]\nQMPTimeoutSec=\(seconds)\n".utf8) }
        let host = try Host([
            "vmdev.conf": file(1), "vmdev.conf.d/10-a.conf": file(2), "vmdev.conf.d/9-b.conf": file(3),
            "vmdev.conf.d/99.conf~": file(4), "vmdev.conf.d/README": file(6),
        ])
        let hidden = try Host(["vmdev.conf": file(1), "vmdev.conf.d/.99.conf": file(5)])
        #expect(try Settings(root: hidden.root).qmpTimeout == .seconds(1))
        #expect(try Settings(root: host.root).qmpTimeout == .seconds(3))
        try Data(file(7)).write(to: URL(fileURLWithPath: host.path("vmdev.conf.d/a.conf")))
        #expect(try Settings(root: host.root).qmpTimeout == .seconds(7))
        try Data("[QEMU]\nQMPTimeoutSec=\n".utf8).write(to: URL(fileURLWithPath: host.path("vmdev.conf.d/b.conf")))
        #expect(try Settings(root: host.root).qmpTimeout == .seconds(10))
        // The way to switch a drop-in off in systemd.
        try FileManager.default.createSymbolicLink(
            atPath: host.path("vmdev.conf.d/c.conf"), withDestinationPath: "/dev/null")
        #expect(try Settings(root: host.root).qmpTimeout == .seconds(10))
    }

    @Test(
        "A file that cannot be read is an error, not the defaults",
        arguments: ["vmdev.conf", "vmdev.conf.d/a.conf"])
    func unreadable(_ name: String) throws {
        let host = try Host([:])
        try makeFolders(host.path(name))
        let error = try #require(throws: SettingsError.self) { try Settings(root: host.root) }
        guard case .unreadable(let path, _) = error else { throw error }
        #expect(path == host.path(name))
    }
}
