import Devices
import Foundation
import Platform
import TestSupport
import Testing

@testable import Hypervisors

/// What only a real QEMU can show.
@Suite(.needsLoopDevices, .needsQEMU) struct QEMUTests {
    let soon = Deadline(after: .seconds(120))

    @Test("Eight disks go in, read-write and read-only by turns")
    func eight() throws {
        let process = try QEMUProcess(ports: 8)
        let vm = try process.connect()
        let disks = try (0..<8).map { _ in try LoopDisk() }
        let requests = try disks.enumerated().map { try $1.request(readOnly: $0 % 2 == 1) }
        #expect(try vm.place(requests) == requests.map { _ in nil })
        for request in requests { try vm.attach(request) }
        #expect(try vm.verify(requests) == requests.map { _ in nil })
        #expect(try vm.attachments().count == 8)
        try vm.resume()
    }

    @Test("A disk and a lock stay with the VM when we have gone and it runs, and SIGKILL frees both")
    func outlivesUs() throws {
        let process = try QEMUProcess(ports: 1)
        let disk = try LoopDisk()
        let lock = try LockFile()
        do {
            let vm = try #require(process.connect() as? QEMUVM)
            do { try vm.attach(disk.request()) }
            try lock.take { try vm.hold($0, as: "lock-block-7:0") }
            try vm.resume()
        }
        do {
            let again = try process.connect()
            #expect(try again.state() == .running)
            let request = try disk.request(claimed: false)
            #expect(try again.verify([request]) == [nil])
            #expect(try again.attachments() == [request.id])
        }
        #expect(disk.isClaimed)
        #expect(try !lock.isFree)
        process.kill()
        #expect(!disk.isClaimed)
        #expect(try lock.isFree)
    }

    @Test(
        "A disk that another VM has is refused with that VM's name and process, and comes free when detached there")
    func foreignHolder() throws {
        let disk = try LoopDisk()
        let other = try QEMUProcess("other", ports: 1)
        let theirs = try other.connect()
        try theirs.attach(try disk.request(claimed: false))

        let process = try QEMUProcess(ports: 1)
        let vm = try process.connect()
        for readOnly in [false, true] {
            let request = try disk.request(readOnly: readOnly, claimed: false)
            let error = #expect(throws: HypervisorError.self) { try vm.attach(request) }
            #expect(error?.kind == .taken)
            #expect(
                error?.message
                    == "dom0:\(disk.portName) is in use by another QEMU process (pid \(other.pid), VM other)")
        }
        // The failures left nothing behind.
        #expect(try vm.attachments() == [])
        try theirs.detach(try AttachmentID(port: disk.device().port), until: soon)
        let request = try disk.request()
        try vm.attach(request)
        #expect(try vm.verify([request]) == [nil])
    }

    @Test("A failed attachment leaves neither node nor claim behind")
    func undone() throws {
        let process = try QEMUProcess(ports: 1)
        let vm = try #require(process.connect() as? QEMUVM)
        let disk = try LoopDisk()
        let id = try AttachmentID(port: disk.device().port)
        do {
            let request = try disk.request()
            vm.places[id] = .port(bus: "nosuch")
            let error = #expect(throws: HypervisorError.self) { try vm.attach(request) }
            #expect(error?.kind == .refused)
            #expect(error?.message.contains("Bus 'nosuch' not found") == true)
        }
        #expect(!disk.isClaimed)
        #expect(try vm.connection.call(QMPCommand<[QMP.Nothing]>("query-named-block-nodes")) == [])
        vm.places[id] = nil
        let request = try disk.request()
        try vm.attach(request)
        #expect(try vm.verify([request]) == [nil])
    }

    @Test("A device that QEMU puts where no guest looks does not pass verification")
    func hiddenSlot() throws {
        let process = try QEMUProcess(ports: 1)
        let vm = try #require(process.connect() as? QEMUVM)
        let disks = [try LoopDisk(), try LoopDisk()]
        try vm.attach(try disks[0].request())
        let request = try disks[1].request(claimed: false)
        let id = request.id.description
        let storage = QMP.Storage(driver: "host_device", filename: disks[1].node, isReadOnly: false)
        try vm.connection.call(.add(QMP.Node(name: id, isReadOnly: false, file: storage)))
        // QEMU 7.2 says yes to this; later ones refuse.
        try vm.connection.call(.plug(QMP.Device(driver: "virtio-blk-pci", bus: "rp0", id: id, drive: id)))
        let error = try #require(try vm.verify([request]).first ?? nil)
        #expect(error.kind == .notVerified)
        #expect(error.message.contains("in slot 1"))
    }

    @Test("A place that was taken meanwhile is told as such")
    func occupied() throws {
        let process = try QEMUProcess(ports: 1)
        let vm = try #require(process.connect() as? QEMUVM)
        let disks = [try LoopDisk(), try LoopDisk()]
        try vm.attach(try disks[0].request())
        let request = try disks[1].request()
        vm.places[request.id] = .port(bus: "rp0")
        let error = #expect(throws: HypervisorError.self) { try vm.attach(request) }
        #expect(error?.kind == .noRoom)
    }

    @Test("A disk of another size than the host's does not pass verification")
    func otherSize() throws {
        let process = try QEMUProcess(ports: 1)
        let vm = try process.connect()
        let disk = try LoopDisk()
        let request = try disk.request(size: 1 << 20)
        try vm.attach(request)
        let error = try #require(try vm.verify([request]).first ?? nil)
        #expect(error.message.contains("4194304 bytes there and 1048576 on the host"))
    }

    @Test("A guest that does not answer keeps its device, and we say so", arguments: [Machine.q35, .i440fx])
    func stubbornGuest(machine: Machine) throws {
        let process = try QEMUProcess(machine: machine, ports: machine == .q35 ? 1 : 0)
        let vm = try process.connect()
        let disk = try LoopDisk()
        let request = try disk.request()
        try vm.attach(request)
        try vm.resume()
        // There is nothing to boot: nobody will ever answer.
        let error = #expect(throws: HypervisorError.self) {
            try vm.detach(request.id, until: Deadline(after: .milliseconds(100)))
        }
        #expect(error?.kind == .refused)
        #expect(error?.message.contains("did not let go") == true)
        #expect(try vm.verify([request]) == [nil])
        #expect(disk.isClaimed)
    }

    @Test("A VM that hangs is ended all the same")
    func hung() throws {
        let process = try QEMUProcess()
        let vm = try #require(process.connect() as? QEMUVM)
        process.hang()
        #expect(try !process.hasEnded)
        try vm.end(within: .milliseconds(50))
        #expect(try process.hasEnded)
    }

    @Test("What an attachment that was cut short left behind goes when it is detached")
    func halfAttached() throws {
        let process = try QEMUProcess(ports: 1)
        let vm = try #require(process.connect() as? QEMUVM)
        let disk = try LoopDisk()
        let id = try AttachmentID(port: disk.device().port)
        do {
            let claim = try Descriptor.open(disk.node, [.readWrite, .exclusive])
            try vm.hold(claim, as: id.claimName)
            try vm.connection.call(.makeSet(of: claim.reopened(), note: id.description))
            try vm.connection.call(
                QMPCommand<QMP.Nothing>("blockdev-add", ["driver": "null-co", "node-name": id.description]))
        }
        #expect(disk.isClaimed)
        try vm.detach(id, until: soon)
        #expect(!disk.isClaimed)
        let request = try disk.request()
        try vm.attach(request)
        #expect(try vm.verify([request]) == [nil])
    }

    @Test("A QEMU without privileges gets the disk that it could not open itself")
    func unprivileged() throws {
        let process = try QEMUProcess(ports: 1, arguments: ["-runas", "nobody"])
        let vm = try process.connect()
        let disk = try LoopDisk()
        let request = try disk.request()
        try vm.attach(request)
        #expect(try vm.verify([request]) == [nil])
    }

    @Test("A VM that is only on its way is waited for, its folder included")
    func late() throws {
        let folder = try TemporaryFolder()
        let hypervisor = QEMU(
            root: Root(folder.path), socket: try VMNamePattern("/run/qmp/%i.sock"), timeout: .seconds(120))
        let before = #expect(throws: HypervisorError.self) {
            try hypervisor.connect(to: VMName("work"), until: soon, waiting: false)
        }
        #expect(before?.kind == .notRunning)

        let started = StartedLate()
        Thread {
            try? FileManager.default.createDirectory(
                atPath: folder.path + "/run/qmp", withIntermediateDirectories: true)
            started.process = try? QEMUProcess(socket: folder.path + "/run/qmp/work.sock")
        }.start()
        let vm = try hypervisor.connect(to: VMName("work"), until: soon, waiting: true)
        #expect(try vm.state() == .notStarted)
        #expect(try hypervisor.runningVMs() == [VMName("work")])
        try vm.end()
    }

    @Test("A VM that does not come is told with the argument that its QEMU needs")
    func never() throws {
        let folder = try TemporaryFolder()
        let error = #expect(throws: HypervisorError.self) {
            try folder.qemu.connect(to: VMName("work"), until: Deadline(after: .milliseconds(20)), waiting: true)
        }
        #expect(error?.kind == .unreachable)
        #expect(
            error?.remedy == "Start its QEMU with -qmp unix:\(folder.path)/work.sock,server=on,wait=off")
    }

    @Test("A second client is told that the socket is taken, and the first goes on")
    func twoClients() throws {
        let process = try QEMUProcess()
        let first = try process.connect()
        let error = #expect(throws: HypervisorError.self) {
            try process.hypervisor.connect(
                to: process.name, until: Deadline(after: .milliseconds(50)), waiting: false)
        }
        #expect(error?.kind == .unreachable)
        #expect(error?.message.contains("another program holds this QMP socket") == true)
        #expect(try first.state() == .notStarted)
    }

    @Test("Listing the VMs disturbs no conversation, and a socket left behind is no VM")
    func listing() throws {
        let folder = try TemporaryFolder()
        let one = try QEMUProcess("one", in: folder)
        let two = try QEMUProcess("two", in: folder)
        let first = try one.connect()
        _ = try two.connect()
        for _ in 0..<5 { #expect(try folder.qemu.runningVMs() == [one.name, two.name]) }
        #expect(try first.state() == .notStarted)
        two.kill()
        try Data().write(to: URL(fileURLWithPath: folder.path + "/three.sock"))
        try Data().write(to: URL(fileURLWithPath: folder.path + "/not a name.sock"))
        #expect(try folder.qemu.runningVMs() == [one.name])
        let error = #expect(throws: HypervisorError.self) {
            try folder.qemu.connect(to: two.name, until: soon, waiting: false)
        }
        #expect(error?.kind == .notRunning)
    }

    @Test("A name in the middle of the socket's path is found too")
    func patternWithFolder() throws {
        let folder = try TemporaryFolder()
        try FileManager.default.createDirectory(
            atPath: folder.path + "/vm-work", withIntermediateDirectories: true)
        let hypervisor = QEMU(
            root: Root(folder.path), socket: try VMNamePattern("/vm-%i/qmp"), timeout: .seconds(120))
        let process = try QEMUProcess(socket: folder.path + "/vm-work/qmp")
        _ = try hypervisor.connect(to: process.name, until: soon, waiting: true)
        #expect(try hypervisor.runningVMs() == [process.name])
    }

    @Test("A QEMU of another name, and one without, on the VM's socket")
    func names() throws {
        let folder = try TemporaryFolder()
        let wrong = try QEMUProcess("other", socket: folder.path + "/work.sock")
        let error = #expect(throws: HypervisorError.self) {
            try folder.qemu.connect(to: VMName("work"), until: soon, waiting: true)
        }
        #expect(error?.kind == .wrongVM)
        withExtendedLifetime(wrong) {}
        let unnamed = try QEMUProcess("other", socket: folder.path + "/plain.sock", named: false)
        #expect(throws: Never.self) {
            try folder.qemu.connect(to: VMName("plain"), until: soon, waiting: true)
        }
        withExtendedLifetime(unnamed) {}
    }
}

/// A QEMU that another thread starts.
private final class StartedLate: @unchecked Sendable {
    var process: QEMUProcess?
}
