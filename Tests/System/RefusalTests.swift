import Foundation
import Testing

@Suite("Refusing to start a VM", needsWholeHost)
struct RefusalTests {
    let host: ScratchHost
    init() throws { host = try ScratchHost() }

    @Test(
        "A missing disk fails the start with one error that names VM, class, source and port, and QEMU ends",
        arguments: ["never there", "taken away"])
    func missing(_ how: String) throws {
        let disk = try LoopDisk()
        disk.detach()
        let port = how == "taken away" ? disk.port : missingPort
        try host.assign("work block dom0:\(port) required -")
        let vm = try VM("work", on: host)
        let outcome = try host.apply("work", "--boot")
        #expect(outcome.status == 69, "\(outcome)")
        for word in ["work", "block", "dom0:\(port)"] {
            #expect(outcome.errors.lowercased().contains(word), "\(outcome)")
        }
        #expect(try vm.endedWithoutRunning())
        #expect(try host.heldLocks().isEmpty)
    }

    @Test("A missing disk that was assigned by its identity is named by it")
    func missingIdentity() throws {
        let port = missingPort
        try host.assign("work block dom0:\(port):usb-Kingston_DataTraveler_60A4 required -")
        let vm = try VM("work", on: host)
        let outcome = try host.apply("work", "--boot")
        #expect(outcome.status == 69, "\(outcome)")
        #expect(outcome.errors.contains("usb-Kingston_DataTraveler_60A4"))
        #expect(try vm.endedWithoutRunning())
    }

    @Test("Another disk in the assigned port is never taken in its place")
    func replaced() throws {
        let disk = try LoopDisk()
        try host.assign("work block dom0:\(disk.port):usb-Kingston_DataTraveler_60A4 required -")
        let vm = try VM("work", on: host)
        let outcome = try host.apply("work", "--boot")
        #expect(outcome.status == 69, "\(outcome)")
        #expect(outcome.errors.contains("usb-Kingston_DataTraveler_60A4"))
        #expect(try vm.endedWithoutRunning())
    }

    @Test("Every problem is told, not the first only")
    func allProblems() throws {
        let disks = try (0..<3).map { _ in try LoopDisk() }
        try host.assign(
            "work block dom0:\(disks[0].port) required -",
            "work block dom0:\(disks[1].port) required -", "work block dom0:\(disks[2].port) required -")
        disks[0].detach()
        disks[2].detach()
        let vm = try VM("work", on: host)
        let outcome = try host.apply("work", "--boot")
        #expect(outcome.status == 69, "\(outcome)")
        let named = disks.map { outcome.errors.contains("dom0:\($0.port)") }
        #expect(named == [true, false, true], "\(outcome)")
        #expect(try vm.endedWithoutRunning())
    }

    @Test("A mounted disk is refused by the name of its mount point", arguments: [false, true])
    func mounted(partition: Bool) throws {
        let disk = try LoopDisk()
        // Mounted is the disk; assigned is that disk, or a partition of it.
        let mount = try disk.mount()
        let port = partition ? try disk.addPartition() : disk.port
        try host.assign("work block dom0:\(port) required -")
        let vm = try VM("work", on: host)
        let outcome = try host.apply("work", "--boot")
        #expect(outcome.status == 73, "\(outcome)")
        #expect(outcome.errors.contains(mount.point))
        #expect(try vm.endedWithoutRunning())
    }

    @Test("A disk whose partition is mounted is refused by the name of the mount point")
    func partitionMounted() throws {
        let disk = try LoopDisk()
        let partition = try disk.addPartition()
        try tool("mkfs.ext4", "-q", "-F", "/dev/\(partition)")
        let mount = try Mount("/dev/\(partition)")
        try host.assign("work block dom0:\(disk.port) required -")
        let vm = try VM("work", on: host)
        let outcome = try host.apply("work", "--boot")
        #expect(outcome.status == 73, "\(outcome)")
        #expect(outcome.errors.contains(mount.point))
        #expect(try vm.endedWithoutRunning())
    }

    @Test("No VM runs with part of its devices: the third of four is held by a QEMU that is none of ours")
    func foreignQEMU() throws {
        let disks = try (0..<4).map { _ in try LoopDisk() }
        let elsewhere = try ScratchHost()
        let foreign = try VM(
            "foreign", on: elsewhere,
            arguments: [
                "-drive", "if=none,id=d,format=raw,file=\(disks[2].path)", "-device", "virtio-blk-pci,drive=d",
            ])
        try assign(disks)
        let vm = try VM("work", on: host)
        let outcome = try host.apply("work", "--boot")
        #expect(outcome.status == 73 || outcome.status == 74, "\(outcome)")
        #expect(outcome.errors.contains("dom0:\(disks[2].port)"))
        #expect(outcome.errors.contains("\(foreign.process.pid)"), "it names the process that has the disk")
        #expect(try vm.endedWithoutRunning())
        #expect(try host.heldLocks().isEmpty)
    }

    @Test("No VM runs with part of its devices: QEMU itself refuses the third of four")
    func refusedByQEMU() throws {
        let disks = try (0..<4).map { _ in try LoopDisk() }
        try assign(disks)
        // A block node that has the name already: only QEMU knows of it.
        let name = "vmdev-\(disks[2].port)"
        let vm = try VM("work", on: host, arguments: ["-blockdev", "null-co,node-name=\(name),read-zeroes=on"])
        let outcome = try host.apply("work", "--boot")
        #expect(outcome.status == 74, "\(outcome)")
        #expect(outcome.errors.contains("dom0:\(disks[2].port)"))
        #expect(try vm.endedWithoutRunning())
        #expect(try host.heldLocks().isEmpty)
    }

    @Test("A VM without room for a required device is refused, with the argument that would make room")
    func noRoom() throws {
        let disks = try (0..<2).map { _ in try LoopDisk() }
        try assign(disks)
        let vm = try VM("work", on: host, room: .rootPorts(1))
        let outcome = try host.apply("work", "--boot")
        #expect(outcome.status != 0, "\(outcome)")
        #expect(outcome.errors.contains("-device pcie-root-port"), "\(outcome)")
        #expect(try vm.endedWithoutRunning())
    }

    @Test("Applied by hand to a VM that is up, a missing device is reported and the VM goes on")
    func rerunWithMissing() throws {
        let vm = try VM("work", on: host)
        #expect(try host.apply("work", "--boot").status == 0)
        let port = missingPort
        try host.assign("work block dom0:\(port) required -")
        let outcome = try host.apply("work")
        #expect(outcome.status == 69, "\(outcome)")
        #expect(outcome.errors.contains("dom0:\(port)"))
        #expect(try vm.monitor.status() == "running")
    }

    @Test("A QEMU that answers to another VM's name is refused and left as it is")
    func wrongName() throws {
        let disk = try LoopDisk()
        try host.assign("work block dom0:\(disk.port) required -")
        let vm = try VM("work", on: host, answersTo: "media")
        let outcome = try host.apply("work", "--boot")
        #expect(outcome.status != 0, "\(outcome)")
        #expect(outcome.errors.contains("media"))
        #expect(try vm.monitor.status() == "prelaunch")
        #expect(try vm.monitor.attachments().isEmpty)
    }

    private func assign(_ disks: [LoopDisk]) throws {
        try host.write(
            "/etc/vmdev/assignments", disks.map { "work block dom0:\($0.port) required -\n" }.joined())
    }
}
