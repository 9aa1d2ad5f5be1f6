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
        "vmdevctl check", "vmdevctl verify",
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
        "vmdevctl pci info dom0:00_1f.3": ("Tests/System/CommandLineTests.swift", #""info", reference"#),
        "vmdevctl mic attach --persistent work dom0:mic": ("Tests/System/Lab/scenarios", "vmdevctl mic a"),
        "vmdevctl block attach --persistent work sys-usb:sdb": (
            "Tests/System/SourcePairTests.swift", #""attach", "--persistent", "work", device"#
        ),
        "apt install qemu-utils libusbredirhost1 ./vmdevctl_*.deb":
            ("Tests/System/Container/package-story", "dpkg --install"),
        "systemctl enable --now vmdev-announced.socket": (
            "Tests/System/Container/source-story",
            "systemctl enable --now vmdev-export.socket vmdev-announced.socket"
        ),
        "vmdevctl usb attach --persistent work sys-usb:2-1":
            ("Tests/System/QubesToolTests.swift", "qvm-usb a -p work sys-usb:2-1"),
        "vmdevctl block assign vault dom0:sdb -o frontend-dev=xvdj":
            ("Tests/ControlTests/QubesControlTests.swift", "frontend-dev=xvdj"),
        ReadmeTests.packing: ("Makefile", "$(MAKE) build"),
        ReadmeTests.unpacking: ("Tests/System/ReadmeTests.swift", "ReadmeTests.unpacking"),
        "sudo systemctl daemon-reload && sudo journalctl --update-catalog":
            ("Tests/System/Container/story", "journalctl --update-catalog"),
        "sudo systemctl enable qubes-vm@work": ("Tests/System/Container/dom0", #"systemctl enable "qubes-vm@$vm""#),
        "sudo systemctl start qubes-vm@work": ("Tests/System/Container/dom0", #"systemctl start "qubes-vm@$vm""#),
        "journalctl -u qubes-vm@work": ("Tests/System/Container/story", "journalctl -x -u"),
        "systemctl enable --now vmdev-export.socket": (
            "Tests/System/Container/source-story", "systemctl enable --now vmdev-export.socket"
        ),
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
        "install -D -m 755 /usr/share/doc/vmdevctl/examples/50-vmdev /etc/libvirt/hooks/qemu.d/50-vmdev":
            (
                "Tests/System/Container/libvirt-story",
                "install -m 755 /units/libvirt/50-vmdev /etc/libvirt/hooks/qemu.d/"
            ),
        "systemctl restart libvirtd": ("Tests/System/Container/libvirt-story", "systemctl restart libvirtd"),
        "vmdevctl log work": ("Tests/System/Container/story", "vmdevctl log --json=short work"),
        "journalctl -x -u qemu@work -b": ("Tests/System/Container/story", "journalctl -x -u"),
        "journalctl VMDEV_TARGET=work -p warning": ("Tests/System/Container/story", "VMDEV_TARGET="),
        // In sentences.
        "systemd-tmpfiles --create vmdev.conf": ("Tests/System/Container/story", "systemd-tmpfiles --create"),
        "/usr/lib/vmdev/vmdev-apply work": ("Tests/System/BootTests.swift", "host.apply("),
        "vmdevctl log": ("Tests/System/Container/story", "vmdevctl log -n 1"),
        "systemctl cat qemu@work": ("Tests/System/Container/story", "systemctl cat qemu@"),
        "systemctl enable libvirt-vm@work":
            ("Tests/System/Lab/scenarios/libvirt-refusals.scenario", "systemctl enable libvirt-vm@"),
        "systemctl start qubes-vm@work": ("Tests/System/Container/dom0", #"systemctl start "qubes-vm@$vm""#),
        "virsh autostart --disable work":
            ("Tests/System/Lab/scenarios/libvirt-refusals.scenario", "virsh autostart --disable"),
        "usermod -aG audio libvirt-qemu": ("Tests/System/Lab/inside/vocabulary", "usermod -aG audio libvirt-qemu"),
        "systemctl status libvirtd": ("Tests/System/Container/libvirt-story", "libvirtd"),
        "vmdevctl check work && qvm-start work": ("Tests/System/Container/dom0", "vmdevctl check taken"),
        "sudo ln -s /usr/bin/vmdevctl /usr/local/bin/qvm-usb": ("Makefile", "ln -s vmdevctl $$name"),
        ReadmeTests.undoing: ("Tests/System/ReadmeTests.swift", "ReadmeTests.undoing"),
    ]

    /// In the VM that builds for dom0, and in dom0.
    private static let packing =
        "make build && make install DESTDIR=/tmp/vmdev && tar -C /tmp/vmdev --owner=0 --group=0 -czf /tmp/vmdev.tar.gz ."
    private static let unpacking =
        "qvm-run --pass-io VM 'cat /tmp/vmdev.tar.gz' | sudo tar -C / --exclude='*/qvm-*' --no-overwrite-dir -xz"
    /// What ends the part that looks at the starts of VMs.
    private static let undoing = """
        sudo rm /usr/lib/systemd/system/qubes-vm@.service.d/50-vmdev.conf \
        /usr/lib/systemd/system-generators/vmdev-generator && sudo systemctl daemon-reload
        """

    @Test("dom0 gets the files of a build; its own commands and its folders stay what they are")
    func carriedOver() throws {
        let folder = temporaryPath("dom0")
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let (dom0, theirs) = (folder + "/dom0", folder + "/dom0/usr/bin/qvm-usb")
        try FileManager.default.createDirectory(
            atPath: dom0 + "/usr/bin", withIntermediateDirectories: true, attributes: [.posixPermissions: 0o711])
        try "theirs".write(toFile: theirs, atomically: true, encoding: .utf8)
        let built = try URL(filePath: program("vmdevctl")).deletingLastPathComponent().path()
        for (command, changes) in [
            (
                ReadmeTests.packing,
                [
                    ("make build && make install", "make -s install RELEASE=\(built)"),
                    ("/tmp/vmdev", folder + "/vmdev"),
                ]
            ),
            (
                ReadmeTests.unpacking,
                [("qvm-run --pass-io VM 'cat /tmp", "sh -c 'cat \(folder)"), ("sudo tar -C /", "tar -C \(dom0)")]
            ),
            (
                ReadmeTests.undoing,
                [("sudo rm ", "cd \(dom0); rm "), (" /usr", " ./usr"), ("sudo systemctl daemon-reload", ":")]
            ),
        ] {
            let words = changes.reduce(command) { $0.replacingOccurrences(of: $1.0, with: $1.1) }
            try tool("sh", ["-c", "cd \(packageFolder) && \(words)"])
            if command == ReadmeTests.unpacking {
                #expect(access(dom0 + "/usr/lib/systemd/system/qubes-vm@.service.d/50-vmdev.conf", F_OK) == 0)
            }
        }
        #expect(try String(contentsOfFile: theirs, encoding: .utf8) == "theirs")
        #expect(access(dom0 + "/usr/bin/qvm-block", F_OK) != 0, "only dom0's own are there")
        let mode = try FileManager.default.attributesOfItem(atPath: dom0 + "/usr/bin")[.posixPermissions] as? Int
        #expect(mode == 0o711)
        #expect(try run(dom0 + "/usr/bin/vmdevctl", ["--version"]).status == 0)
        #expect(access(dom0 + "/usr/lib/systemd/system-generators/vmdev-generator", F_OK) != 0)
    }

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
    /// name of a program; and what stands in a sentence and is a command as a whole, with nothing to fill in.
    private static func commands() throws -> [String] {
        let text = try String(contentsOfFile: packageFolder + "/README.md", encoding: .utf8)
        let names: Set = [
            "make", "vmdevctl", "systemctl", "journalctl", "install", "mkdir", "ln", "printf", "apt", "virsh",
            "sudo",
            "qvm-run", "usermod", "systemd-tmpfiles", "/usr/lib/vmdev/vmdev-apply",
        ]
        func isCommand(_ words: String) -> Bool { names.contains(String(words.prefix { $0 != " " })) }
        var commands: [String] = []
        func add(_ command: String) { if !commands.contains(command) { commands.append(command) } }
        for line in text.components(separatedBy: "\n") where line.hasPrefix("    ") {
            var command = line.trimmingCharacters(in: .whitespaces)
            if command.hasPrefix("$ ") { command = String(command.dropFirst(2)) }
            guard isCommand(command) else { continue }
            if let comment = command.range(of: " #") { command = String(command[..<comment.lowerBound]) }
            add(command.trimmingCharacters(in: .whitespaces))
        }
        let quoted = text.components(separatedBy: "\n").filter { !$0.hasPrefix("    ") }.joined(separator: "\n")
            .split(separator: "`", omittingEmptySubsequences: false).enumerated().filter { $0.offset % 2 == 1 }.map(
                \.element)
        for words in quoted {
            let words = words.split(whereSeparator: \.isWhitespace)
            // "systemctl start" names a command, and capital letters are to be replaced.
            let isForm = words.contains {
                $0.contains { "ABCDEFGHIJKLMNOPQRSTUVWXYZ".contains($0) } && !$0.hasPrefix("-")
            }
            let isWhole =
                words.count > 2 || words.count == 2 && ["/", "vmdevctl"].contains { words[0].hasPrefix($0) }
            let command = words.joined(separator: " ")
            if isCommand(command), isWhole, !isForm { add(command) }
        }
        return commands
    }
}
