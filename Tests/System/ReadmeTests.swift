import Foundation
import Testing

/// Every command that README shows is run: here, or by the test that `elsewhere` names.
@Suite("The commands in README", needsWholeHost)
struct ReadmeTests {
    /// What is run here, on a host of its own where `dom0:sdb` is a disk; none may fail.
    private static let here: Set<String> = [
        "vmdevctl block", "vmdevctl usb", "vmdevctl block list -s",
        "vmdevctl block attach --persistent work dom0:sdb",
        "vmdevctl check work", "vmdevctl block detach work dom0:sdb", "vmdevctl usb list -v", "vmdevctl mic list",
    ]

    /// Each other one: the file that runs it, or one like it, and how that stands there.
    private static let elsewhere: [String: (file: String, words: String)] = [
        "make demo": ("Makefile", "@Tests/System/Demo/demo"),
        "make test": (".ci/run", "exec make test"),
        "make lab": ("Tests/System/LabTests.swift", "lab"),
        "make build": ("Makefile", "$(MAKE) build"),
        "make deb": ("Tests/System/PackageTests.swift", "make-deb"),
        "make install": ("units/debian/make-deb", "install"),
        "make crash": ("Makefile", "--filter CrashTests"),
        "make fuzz": ("Makefile", "Tests/Fuzz/fuzz 3"),
        "make sanitize": ("Makefile", "Tests/Sanitize/sanitize"),
        "make bench": ("Makefile", "vmdev-bench"),
        "vmdevctl usb attach --persistent work dom0:2-1.4": ("Tests/System/Lab/scenarios", "vmdevctl usb a"),
        "vmdevctl usb assign work dom0:2-1 -o timeout=1min": ("Tests/System/Lab/scenarios", "vmdevctl usb assign"),
        "vmdevctl pci assign work dom0:00_1f.3": ("Tests/System/Lab/scenarios", "vmdevctl pci assign work"),
        "vmdevctl pci info dom0:00_1f.3": ("Tests/ControlTests", "info"),
        "vmdevctl mic attach --persistent work dom0:mic": ("Tests/System/Lab/scenarios", "vmdevctl mic a"),
        "vmdevctl block attach --persistent work sys-usb:sdb": ("Tests/System/SourceVMTests.swift", "sys-usb"),
        "apt install qemu-utils usbredirect ./vmdevctl_*.deb":
            ("Tests/System/Container/package-story", "dpkg --install"),
        "systemctl enable --now vmdev-announced.socket": ("Tests/System/UnitFileTests.swift", "vmdev-announced"),
        "vmdevctl usb attach --persistent work sys-usb:2-1":
            ("Tests/System/QubesToolTests.swift", "qvm-usb a -p work sys-usb:2-1"),
        "vmdevctl block assign vault dom0:sdb -o frontend-dev=xvdj":
            ("Tests/ControlTests/QubesControlTests.swift", "frontend-dev=xvdj"),
        "make build && make install DESTDIR=/tmp/vmdev && tar -C /tmp/vmdev --owner=0 --group=0 -czf /tmp/vmdev.tar.gz .":
            ("units/debian/make-deb", "make -s -C \"$top\" install DESTDIR="),
        "journalctl -u qubes-vm@work": ("Tests/System/Container/story", "journalctl -x -u"),
        "systemctl enable --now vmdev-export.socket": ("Tests/System/SourceVMTests.swift", "vmdev-export"),
        "install -D -m 644 /usr/share/doc/vmdevctl/examples/vmdev.conf /etc/systemd/system/qemu@.service.d/vmdev.conf":
            (
                "Tests/System/Container/story",
                "cp /units/vmdev.conf /units/sandbox.conf /etc/systemd/system/qemu@.service.d/"
            ),
        "systemctl daemon-reload": ("Tests/System/Container/story", "systemctl daemon-reload"),
        "systemctl status qemu@work": ("Tests/System/Container/story", "systemctl status --no-pager"),
        #"printf '[Host]\nHypervisor=libvirt\n' >/etc/vmdev/vmdev.conf"#:
            ("Tests/System/Container/libvirt-story", #"printf '[Host]\nHypervisor=libvirt\n"#),
        "systemctl start libvirt-vm@work": ("Tests/System/Container/libvirt-story", "systemctl start libvirt-vm@"),
        "mkdir -p /etc/libvirt/hooks/qemu.d": ("Tests/System/Container/libvirt-story", "/etc/libvirt/hooks/qemu.d"),
        "ln -s /usr/lib/vmdev/libvirt-hook /etc/libvirt/hooks/qemu.d/50-vmdev":
            (
                "Tests/System/Container/libvirt-story",
                "ln -s /usr/lib/vmdev/libvirt-hook /etc/libvirt/hooks/qemu.d/50-vmdev"
            ),
        "systemctl restart libvirtd": ("Tests/System/Container/libvirt-story", "libvirtd"),
        "vmdevctl log work": ("Tests/System/Container/story", "vmdevctl log --json=short work"),
        "journalctl -x -u qemu@work -b": ("Tests/System/Container/story", "journalctl -x -u"),
        "journalctl VMDEV_TARGET=work -p warning": ("Tests/System/Container/story", "VMDEV_TARGET="),
    ]

    @Test("Each command is run here, or by the test that is named")
    func nothingIsUntried() throws {
        let commands = try ReadmeTests.commands()
        #expect(commands.count > 25)
        for command in commands {
            guard !ReadmeTests.here.contains(command) else { continue }
            let place = try #require(ReadmeTests.elsewhere[command], "README: nothing runs '\(command)'")
            let text = try tool("grep", "-r", "-h", "-F", "-e", place.words, "\(packageFolder)/\(place.file)")
            #expect(!text.isEmpty, "\(place.file) does not run '\(command)' any more")
        }
        let stale = (ReadmeTests.here.union(ReadmeTests.elsewhere.keys)).subtracting(commands)
        #expect(stale == [], "README does not have them any more")
    }

    @Test("What stands there for one host works, in the order in which it stands there")
    func works() throws {
        let host = try ScratchHost()
        let disk = try LoopDisk()
        for command in try ReadmeTests.commands() where ReadmeTests.here.contains(command) {
            let words = command.replacingOccurrences(of: "dom0:sdb", with: "dom0:\(disk.port)").split(
                separator: " "
            )
            .dropFirst().map(String.init)
            let outcome = try run(program("vmdevctl"), ["--root=\(host.root)"] + words)
            #expect(outcome.status == 0, "\(command): \(outcome)")
        }
    }

    /// The lines of code blocks that are commands, without their comments: those after `$`, and those that begin with the
    /// name of a program.
    private static func commands() throws -> [String] {
        let text = try String(contentsOfFile: packageFolder + "/README.md", encoding: .utf8)
        let names = [
            "make", "vmdevctl", "systemctl", "journalctl", "install", "mkdir", "ln", "printf", "apt", "virsh",
        ]
        var commands: [String] = []
        for line in text.components(separatedBy: "\n") where line.hasPrefix("    ") {
            var command = line.trimmingCharacters(in: .whitespaces)
            if command.hasPrefix("$ ") { command = String(command.dropFirst(2)) }
            guard names.contains(String(command.prefix { $0 != " " })) else { continue }
            if let comment = command.range(of: " #") { command = String(command[..<comment.lowerBound]) }
            command = command.trimmingCharacters(in: .whitespaces)
            if !commands.contains(command) { commands.append(command) }
        }
        return commands
    }
}
