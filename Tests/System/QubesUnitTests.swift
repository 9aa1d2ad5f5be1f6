import Applying
import Foundation
import Systemd
import Testing

/// One boot of a container that is dom0, with a qubesd of our own and Qubes's unit.
private struct Dom0Boot {
    let container: BootedContainer

    static let key = "1050:0407:1:u030101"

    init() throws {
        container = try BootedContainer()
        let stick = "usb sys-usb 2-1 \(Dom0Boot.key)"
        try container.write(
            """
            domain sys-usb Halted
            domain media Running
            domain work Halted
            domain taken Halted
            domain lost Halted
            domain asking Halted
            domain up Running
            domain plain Halted
            expose sys-usb usb 2-1 \(Dom0Boot.key)
            expose sys-usb usb 2-2 aaaa:bbbb:2:u030102
            has media usb sys-usb 2-2 aaaa:bbbb:2:u030102
            assign work \(stick) required
            assign taken usb sys-usb 2-2 * required
            expose sys-usb usb 2-3 cccc:dddd:3:u030103
            assign lost usb sys-usb 2-3 * required
            loses lost 2-3
            pretends lost
            assign asking \(stick) ask-to-attach
            assign up usb sys-usb 2-9 * required
            """, to: "qubesd.conf")
        // What an earlier boot has left.
        try container.write("work usb sys-usb:2-1 required -\n", to: "lib/qubes-assignments")
        try container.write("<qubes/>", to: "qubes/qubes.xml")
        try container.write("work\ntaken\nlost\nasking\nup\nplain\n", to: "vms")
        let tool = "#!/bin/sh\nexec qubesd-stand-in start \"$3\"\n"
        try container.write(tool, to: "qvm-start")
        try FileManager.default.setAttributes(
            [.posixPermissions: 0o755], ofItemAtPath: container.folder + "/qvm-start")
        let units = [
            "qubesd": """
            [Service]
            Type=notify
            NotifyAccess=all
            ExecStart=/usr/bin/qubesd-stand-in serve /result/qubesd.conf
            """,
            // As Qubes OS has it.
            "qubes-vm@": """
            [Unit]
            After=qubesd.service
            [Service]
            Type=oneshot
            RemainAfterExit=yes
            ExecStart=/usr/bin/qvm-start --skip-if-running -- %i
            [Install]
            WantedBy=multi-user.target
            """,
            "dom0": """
            [Unit]
            Requires=basic.target qubesd.service
            After=basic.target qubesd.service
            [Service]
            Type=oneshot
            ExecStart=/dom0
            StandardOutput=file:/result/log
            StandardError=file:/result/log
            """,
        ]
        let folder = container.folder
        var binds: [String] = []
        for (name, text) in units {
            try container.write(text, to: "units/\(name).service")
            binds.append("--bind-ro=\(folder)/units/\(name).service:/etc/systemd/system/\(name).service")
        }
        let dropIn = "qubes-vm@.service.d/50-vmdev.conf"
        try container.boot(
            into: "dom0.service",
            binds + [
                "--bind=\(folder)/lib:/var/lib/vmdev", "--bind-ro=\(folder)/qubes:/var/lib/qubes",
                "--bind-ro=\(folder)/qvm-start:/usr/bin/qvm-start",
                "--bind-ro=\(program("qubesd-stand-in")):/usr/bin/qubesd-stand-in",
                "--bind-ro=\(packageFolder)/Tests/System/Container/dom0:/dom0",
                "--bind-ro=\(packageFolder)/units/\(dropIn):/usr/lib/systemd/system/\(dropIn)",
            ], within: .seconds(900))
    }

    func line(_ name: String) -> String {
        container.read(name).trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// The statuses with which the programs before and after the start ended, as systemd knows them.
    func status(_ vm: String, _ step: String) -> String? {
        container.lines("\(vm).show").first { $0.hasPrefix("\(step)=") }.flatMap { line in
            guard line.contains("code=exited"), let range = line.range(of: "; status=") else { return nil }
            return String(line[range.upperBound...].prefix { $0.isNumber })
        }
    }
}

@Suite(
    "dom0 of Qubes OS",
    needs(
        Requirement.wholeHost, Requirement.command("systemd-nspawn", of: "systemd-container"),
        Requirement.command("mmdebstrap", of: "mmdebstrap")))
struct QubesUnitTests {
    @Test(
        "Its unit starts a VM after its source and with its device, or fails with the reason's status; a VM that was up stays"
    )
    func boot() throws {
        let boot = try Dom0Boot()
        let container = boot.container

        #expect(boot.line("work.enabled").hasSuffix("\n0"), "\(boot.line("work.enabled"))")
        #expect(boot.line("work.start") == "0", "\(container.read("work.status"))")
        #expect(boot.line("work.state") == "Running sys-usb:2-1")
        #expect(boot.line("sys-usb.state") == "Running", "it was halted, and its unit came first")
        let work = container.lines("work.show")
        for key in ["After=", "Wants="] {
            #expect(work.contains { $0.hasPrefix(key) && $0.contains("qubes-vm@sys-usb.service") }, "\(work)")
        }
        // One of the two drop-ins, not both.
        #expect(work.filter { $0.hasPrefix("ExecStartPost=") }.count == 1, "\(work)")

        // Another VM has it: the tool of Qubes OS was not even called.
        #expect(boot.line("taken.check").contains("is attached to VM media"), "\(boot.line("taken.check"))")
        #expect(boot.line("taken.check").hasSuffix("\n73"), "\(boot.line("taken.check"))")
        #expect(boot.line("taken.start") == "1")
        #expect(boot.status("taken", "ExecStartPre") == "73", "\(container.read("taken.show"))")
        #expect(boot.status("taken", "ExecStart") == nil)
        #expect(boot.line("taken.state") == "Halted")
        let said = container.entries("taken.journal").filter { $0["VMDEV_REASON"] == "taken" }
        #expect(said.count == 1)
        #expect(said.first?["MESSAGE"]?.contains("is attached to VM media") == true)
        #expect(said.first?["MESSAGE_ID"] == Outcome.Kind.failed.messageID.description)

        // What Qubes OS starts without its device is killed.
        #expect(boot.line("lost.start") == "1")
        #expect(boot.status("lost", "ExecStart") == "0", "\(container.read("lost.show"))")
        #expect(boot.status("lost", "ExecStartPost") == "74", "\(container.read("lost.show"))")
        #expect(boot.line("lost.state") == "Halted")

        #expect(boot.line("asking.start") == "1")
        #expect(boot.status("asking", "ExecStartPre") == "65", "\(container.read("asking.show"))")

        #expect(boot.line("up.start") == "1")
        #expect(boot.status("up", "ExecStartPost") == "69", "\(container.read("up.show"))")
        #expect(boot.line("up.state") == "Running")
        #expect(container.read("up.show").contains("ActiveState=failed"))

        #expect(boot.line("plain.start") == "0", "\(container.read("plain.status"))")

        // What the next boot is ordered by.
        #expect(container.read("copy").contains("\nwork usb sys-usb:2-1:\(Dom0Boot.key) required -\n"))
        #expect(container.read("copy").contains("\ntaken usb sys-usb:2-2 required -\n"))
        #expect(boot.line("plain.after").contains("qubes-vm@sys-usb.service"), "\(container.read("assign"))")
    }
}
