import Applying
import Foundation
import Platform
import Systemd
import Testing

/// One boot of a container that starts all its VMs at once, each with a disk of its own; the first needs sys-usb too.
private struct HostBoot {
    let container: BootedContainer
    let disks: [LoopDisk]
    let names: [String]

    static let count = 50

    init() throws {
        container = try BootedContainer()
        names = (1...HostBoot.count).map { "vm\($0)" }
        disks = try names.map { _ in try LoopDisk(megabytes: 1) }
        var table = ""
        for (name, disk) in zip(names, disks) { table += "\(name) block dom0:\(disk.port) required -\n" }
        table += "\(names[2]) usb sys-usb:2-1 auto-attach timeout=1s\n"
        try container.write(table, to: "vmdev/assignments")
        // All at once on few processors: what takes its time is no failure here.
        try container.write("[QEMU]\nQMPTimeoutSec=10min\n", to: "vmdev/vmdev.conf")
        for name in names + ["sys-usb"] {
            try container.write("QEMU_ARGS=\"-m 16 -nodefaults\"\n", to: "vmdev/qemu/\(name).conf")
        }
        try container.write(names.joined(separator: "\n") + "\n", to: "names")
        try container.write(names[2], to: "needy")
        try container.write(Outcome.Kind.attached.messageID.description, to: "attached.id")
        let units = names.map { "qemu@\($0).service" }.joined(separator: " ")
        try container.write(
            """
            [Unit]
            Requires=basic.target
            Wants=\(units)
            After=basic.target \(units)
            [Service]
            Type=oneshot
            ExecStart=/many
            StandardOutput=file:/result/log
            StandardError=file:/result/log
            """, to: "many.service")
        try container.write("[Service]\nTimeoutStartSec=infinity\n", to: "patience.conf")
        let folder = container.folder
        try container.boot(
            into: "many.service",
            [
                "--bind=\(folder)/vmdev:/etc/vmdev", "--bind-ro=\(packageFolder)/Tests/System/Container/many:/many",
                "--bind-ro=\(folder)/many.service:/etc/systemd/system/many.service",
                "--bind-ro=\(packageFolder)/units/sandbox.conf:/etc/systemd/system/qemu@.service.d/sandbox.conf",
                "--bind-ro=\(folder)/patience.conf:/etc/systemd/system/qemu@.service.d/patience.conf",
            ] + disks.map { "--bind=\($0.path)" }, within: .seconds(1800))
    }
}

@Suite(
    "A host that boots with many VMs",
    needs(
        Requirement.wholeHost, Requirement.command("systemd-nspawn", of: "systemd-container"),
        Requirement.command("mmdebstrap", of: "mmdebstrap")))
struct HostBootTests {
    @Test(
        "Fifty VMs that start at once get each its own disk; sources come first; a stop and a crash leave nothing behind"
    )
    func boot() throws {
        let boot = try HostBoot()
        let container = boot.container
        let paths = boot.disks.map(\.path)

        let running = container.lines("units").filter { $0.contains("active running") }
        #expect(running.count == HostBoot.count + 1, "\(container.read("units"))")
        #expect(container.lines("disks") == zip(boot.names, paths).map { "\($0) \($1) " })

        // It was still booting, and its source came up before it.
        #expect(container.read("state") == "starting\n")
        let sourceUp = try #require(
            Int(container.read("source.active").trimmingCharacters(in: .whitespacesAndNewlines)))
        let started = try #require(
            Int(container.read("needy.started").trimmingCharacters(in: .whitespacesAndNewlines)))
        #expect(sourceUp > 0 && sourceUp <= started, "\(container.read("needy.show"))")
        let wants = container.lines("needy.show").filter { $0.hasPrefix("Wants=") }
        #expect(wants.contains { $0.contains("qemu@sys-usb.service") }, "\(wants)")

        // Each lock belongs to a disk, and those of the two that ended were free.
        let before = Set(container.lines("held.before"))
        #expect(before.count >= HostBoot.count)
        #expect(before.subtracting(container.lines("held.after")).count == 2, "\(container.read("held.after"))")
        #expect(container.read("stopped.result") == "success\n")
        #expect(container.lines("again") == paths.prefix(2).map { "0 \($0) " })
        #expect(container.lines("held.end").isEmpty)

        // Every field that the journal has of a device.
        let attached = container.entries("attached.journal").filter {
            $0["MESSAGE_ID"] == Outcome.Kind.attached.messageID.description
        }
        #expect(attached.count == HostBoot.count + 2)
        for (name, disk) in zip(boot.names, boot.disks) {
            let entry = try #require(attached.first { $0["VMDEV_TARGET"] == name })
            #expect(entry["VMDEV_CLASS"] == "block")
            #expect(entry["VMDEV_SOURCE"] == "dom0")
            #expect(entry["VMDEV_PORT"] == disk.port)
            #expect(entry["VMDEV_DURATION_USEC"].flatMap { UInt64($0) } ?? 0 > 0)
            #expect(entry["VMDEV_WAITED_USEC"] == nil, "where udev does not run no device is late")
            #expect(entry["PRIORITY"] == "6")
            #expect(entry["OBJECT_SYSTEMD_UNIT"] == "qemu@\(name).service")
            #expect(entry["INVOCATION_ID"]?.count == 32)
        }
        // journald knows of a process that has ended by then no unit, and still each is told of by its unit.
        #expect(container.lines("by-unit").count == HostBoot.count, "\(container.read("by-unit"))")
        let skipped = container.entries("needy.journal").first {
            $0["MESSAGE_ID"] == Outcome.Kind.skipped.messageID.description
        }
        #expect(skipped?["VMDEV_REASON"] == Reason.sourceUnknown.rawValue)
        #expect(skipped?["VMDEV_PORT"] == "2-1")
    }
}
