import Foundation
import Testing

@Suite("Starting a VM", needsWholeHost)
struct BootTests {
    let host: ScratchHost
    init() throws { host = try ScratchHost() }

    @Test("An assigned disk is in the guest at its start, with its size, serial and content")
    func guestSeesDisk() throws {
        let disk = try LoopDisk(megabytes: 8)
        try host.assign("work block dom0:\(disk.port) required -")
        let vm = try VM("work", on: host, guest: Guest(disks: 1))
        let outcome = try host.apply("work", "--boot")
        try #require(outcome.status == 0, "\(outcome)")
        #expect(
            try vm.disksSeenByGuest() == [
                GuestDisk(size: 8 << 20, readOnly: false, serial: disk.port, text: disk.text)
            ])
    }

    @Test("A disk assigned read-only is read-only in the guest")
    func guestSeesReadOnly() throws {
        let disk = try LoopDisk()
        try host.assign("work block dom0:\(disk.port) required read-only=yes")
        let vm = try VM("work", on: host, guest: Guest(disks: 1))
        let outcome = try host.apply("work", "--boot")
        try #require(outcome.status == 0, "\(outcome)")
        #expect(try vm.disksSeenByGuest().map(\.readOnly) == [true])
    }

    @Test("A disk that the host can only read is read-only in the guest, without being asked for")
    func hostReadOnly() throws {
        let disk = try LoopDisk(readOnly: true)
        try host.assign("work block dom0:\(disk.port) required -")
        let vm = try VM("work", on: host, guest: Guest(disks: 1))
        let outcome = try host.apply("work", "--boot")
        try #require(outcome.status == 0, "\(outcome)")
        #expect(try vm.disksSeenByGuest().map(\.readOnly) == [true])
    }

    @Test(
        "A disk finds its place on what the VM has: root ports, a SCSI controller, a USB controller, an old PC's bus",
        arguments: [VM.Room.rootPorts(1), .scsi, .usb, .i440fx])
    func places(_ room: VM.Room) throws {
        let disk = try LoopDisk(megabytes: 8)
        try host.assign("work block dom0:\(disk.port) required -")
        let vm = try VM("work", on: host, room: room, guest: Guest(disks: 1))
        let outcome = try host.apply("work", "--boot")
        try #require(outcome.status == 0, "\(outcome)")
        #expect(
            try vm.disksSeenByGuest() == [
                GuestDisk(size: 8 << 20, readOnly: false, serial: disk.port, text: disk.text)
            ])
    }

    @Test("A VM without assignments just runs")
    func nothingAssigned() throws {
        let vm = try VM("work", on: host)
        let outcome = try host.apply("work", "--boot")
        #expect(outcome.status == 0, "\(outcome)")
        #expect(try vm.monitor.status() == "running")
    }

    @Test("Applying again changes nothing and succeeds")
    func rerun() throws {
        let disk = try LoopDisk()
        try host.assign("work block dom0:\(disk.port) required -")
        let vm = try VM("work", on: host)
        #expect(try host.apply("work", "--boot").status == 0)
        let attachments = try vm.monitor.attachments()
        let again = try host.apply("work")
        #expect(again.status == 0, "\(again)")
        #expect(try vm.monitor.attachments() == attachments)
        #expect(attachments.count == 1)
        #expect(try vm.monitor.status() == "running")
    }

    @Test("An auto-attach device that is missing is a warning, and the VM runs")
    func autoAttachMissing() throws {
        let port = missingPort
        try host.assign("work block dom0:\(port) auto-attach -")
        let vm = try VM("work", on: host)
        let outcome = try host.apply("work", "--boot")
        #expect(outcome.status == 0, "\(outcome)")
        #expect(outcome.errors.contains(port))
        #expect(try vm.monitor.status() == "running")
    }

    @Test("A row that cannot be read fails its own VM with file and line, and no other")
    func badRow() throws {
        try host.assign("# mine", "work block", "media block dom0:\(missingPort) auto-attach -")
        let work = try VM("work", on: host)
        let media = try VM("media", on: host)
        let refused = try host.apply("work", "--boot")
        #expect(refused.status == 65, "\(refused)")
        #expect(refused.errors.contains("/etc/vmdev/assignments:2:"))
        #expect(try work.endedWithoutRunning())
        let allowed = try host.apply("media", "--boot")
        #expect(allowed.status == 0, "\(allowed)")
        #expect(try media.monitor.status() == "running")
    }

    @Test("--check says what the next boot would do, with its exit status, and does none of it")
    func check() throws {
        let disk = try LoopDisk()
        try host.assign("work block dom0:\(disk.port) required -")
        #expect(try host.apply("work", "--check").status == 0)
        disk.detach()
        let outcome = try host.apply("work", "--check")
        #expect(outcome.status == 69, "\(outcome)")
        #expect(outcome.errors.contains(disk.port))
        #expect(try host.heldLocks().isEmpty)
    }
}
