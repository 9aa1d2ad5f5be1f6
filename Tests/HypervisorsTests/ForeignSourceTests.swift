import Devices
import Foundation
import Hypervisors
import Platform
import Testing

/// What every hypervisor that takes devices of other VMs keeps to: the conformance suite for a foreign source.
@Suite("A device of another VM", .needsQEMU) struct ForeignSourceTests {
    static let benches: [Bench] = [.simulator, .q35, .i440fx, .libvirt, .libvirtBus]
    let soon = Deadline(after: .seconds(60))

    private func request(_ stick: RedirectedStick, port: String = "2-1") throws -> AttachRequest {
        let device = Device(
            .usb, source: try VMName("sys-usb"), port: try Port(port, of: .usb),
            identities: [try DeviceIdentity("46f4:0001:STICK01:u080650")], title: "a stick",
            canonical: CanonicalDevice(key: "from:sys-usb:usb-\(port)"),
            details: .usb(Device.USB(node: "", address: 0, number: Device.Number(major: 0, minor: 7))))
        return AttachRequest(
            device: device, options: .none, readOnly: false, backing: .usbStream(stick.stream))
    }

    @Test("A stick that its source gives arrives before the VM starts, and stays", arguments: benches)
    func arrives(bench: Bench) throws {
        let started = try bench.start(withUSB: true)
        let vm = try started.connect()
        let stick = try RedirectedStick(.gives(product: 1))
        let request = try request(stick)
        #expect(try vm.place([request]) == [nil])
        try vm.attach(request)
        #expect(try vm.verify([request]) == [nil])
        #expect(try vm.state() != .running)
        try vm.resume()
        #expect(try vm.state() == .running)
        #expect(try vm.verify([request]) == [nil])
        #expect(try vm.attachments() == [request.id])
        #expect(try vm.deadEnds() == [])
        withExtendedLifetime(stick) {}
    }

    @Test("A stick arrives in a VM that runs", arguments: benches)
    func arrivesLater(bench: Bench) throws {
        let started = try bench.start(withUSB: true)
        let vm = try started.connect()
        try vm.resume()
        let stick = try RedirectedStick(.gives(product: 1))
        let request = try request(stick)
        try vm.attach(request)
        #expect(try vm.verify([request]) == [nil])
        #expect(try vm.state() == .running)
        withExtendedLifetime(stick) {}
    }

    @Test("Success with nobody at the other end is not believed", arguments: benches)
    func nobody(bench: Bench) throws {
        let started = try bench.start(withUSB: true)
        let vm = try started.connect()
        let stick = try RedirectedStick(.isSilent)
        let request = try request(stick)
        try vm.attach(request)
        stick.pull()
        #expect(try vm.verify([request]).map { $0?.kind } == [.notVerified])
        try vm.detach(request.id, until: soon)
        #expect(try vm.attachments() == [])
    }

    @Test(
        "A source that says nothing, talks nonsense or gives a stick of another make has not given the one it told of",
        arguments: [RedirectedStick.Manner.isSilent, .babbles, .gives(product: 2)])
    func hostile(manner: RedirectedStick.Manner) throws {
        let started = try Bench.q35.start(withUSB: true)
        let vm = try started.connect()
        let stick = try RedirectedStick(manner)
        let request = try request(stick)
        try vm.attach(request)
        let error = try #require(try vm.verify([request]).first ?? nil)
        #expect(error.kind == .notVerified)
        #expect(error.message.contains("VM sys-usb does not give it"))
        #expect(try vm.state() != .running)
        try vm.end()
        withExtendedLifetime(stick) {}
    }

    @Test(
        "When the stick is pulled the VM runs on, says that it has a dead end, and takes it anew",
        arguments: benches)
    func pulled(bench: Bench) throws {
        let started = try bench.start(withUSB: true)
        let vm = try started.connect()
        let first = try RedirectedStick(.gives(product: 1))
        let request = try request(first)
        try vm.attach(request)
        try #require(try vm.verify([request]) == [nil])
        try vm.resume()
        first.pull()
        // The monitor may answer once more before QEMU reads the end of the connection.
        while try vm.deadEnds().isEmpty { try #require(!soon.hasPassed) }
        #expect(try vm.deadEnds() == [request.id])
        #expect(try vm.state() == .running)
        #expect(try vm.verify([request]).map { $0?.kind } == [.notVerified])
        try vm.detach(request.id, until: soon)
        #expect(try vm.deadEnds() == [])

        let second = try RedirectedStick(.gives(product: 1))
        let again = try self.request(second)
        #expect(try vm.place([again]) == [nil])
        try vm.attach(again)
        #expect(try vm.verify([again]) == [nil])
        withExtendedLifetime(second) {}
    }

    @Test("The connection ends with the VM, however that ends", arguments: benches)
    func ends(bench: Bench) throws {
        let started = try bench.start(withUSB: true)
        let vm = try started.connect()
        let (ours, theirs) = try pair()
        do {
            let stick = Descriptor(owning: fcntl(theirs, F_DUPFD_CLOEXEC, 0))
            close(theirs)
            let device = try request(RedirectedStick(.isSilent)).device
            try vm.attach(
                AttachRequest(device: device, options: .none, readOnly: false, backing: .usbStream(stick)))
        }
        started.kill()
        let end = Descriptor(owning: ours)
        while try end.wait(.readable, until: soon), try !end.read(upTo: 4096).isEmpty {}
        #expect(!soon.hasPassed)
    }

    // MARK: Disks

    @Test(
        "A disk that its source gives is there before the VM starts, and stays, written to or not",
        arguments: benches,
        [true, false])
    func disk(bench: Bench, readOnly: Bool) throws {
        let started = try bench.start()
        let vm = try started.connect()
        let disk = try ExportedDisk(readOnly: readOnly)
        let request = try disk.request(readOnly: readOnly)
        #expect(try vm.place([request]) == [nil])
        try vm.attach(request)
        #expect(try vm.verify([request]) == [nil])
        #expect(try vm.state() == .notStarted)
        try vm.resume()
        #expect(try vm.attachments() == [request.id])
        #expect(try vm.verify([request]) == [nil])
        withExtendedLifetime(disk) {}
    }

    @Test(
        "A disk that is not what its source told of it does not pass verification",
        arguments: [Bench.q35, .i440fx, .libvirt])
    func otherDisk(bench: Bench) throws {
        let started = try bench.start()
        let vm = try started.connect()
        let disk = try ExportedDisk()
        let request = try disk.request(size: ExportedDisk.size * 2)
        try vm.attach(request)
        let error = try #require(try vm.verify([request]).first ?? nil)
        #expect(error.kind == .notVerified)
        #expect(error.message.contains("sys-usb:sdb"))
        withExtendedLifetime(disk) {}
    }

    @Test("A disk that can only be read is not had for writing", arguments: [Bench.q35, .i440fx, .libvirt])
    func readOnlyDisk(bench: Bench) throws {
        let started = try bench.start()
        let vm = try started.connect()
        let disk = try ExportedDisk(readOnly: true)
        let error = #expect(throws: HypervisorError.self) { try vm.attach(disk.request()) }
        disk.forget()
        #expect(error?.kind == .refused, "\(error?.message ?? "")")
        #expect(try vm.attachments() == [])
        #expect(try !disk.isHeld(until: soon), "its export has ended with the attempt")
    }

    @Test(
        "The export lasts until the disk is detached, or the VM ends, however that is", arguments: benches,
        [true, false])
    func exportEnds(bench: Bench, byDetaching: Bool) throws {
        let started = try bench.start()
        let vm = try started.connect()
        let disk = try ExportedDisk()
        let id: AttachmentID
        do {
            let request = try disk.request()
            id = request.id
            try vm.attach(request)
        }
        disk.forget()
        #expect(try disk.isHeld(until: Deadline(after: .zero)))
        if byDetaching { try vm.detach(id, until: soon) } else { started.kill() }
        #expect(try !disk.isHeld(until: soon))
    }

    @Test("When the source dies the VM runs on, and has its disk still", arguments: benches)
    func sourceDies(bench: Bench) throws {
        let started = try bench.start()
        let vm = try started.connect()
        let disk = try ExportedDisk()
        let request = try disk.request()
        try vm.attach(request)
        try vm.resume()
        disk.stop()
        #expect(try vm.state() == .running)
        #expect(try vm.attachments() == [request.id])
    }

    private func pair() throws -> (Int32, Int32) {
        var ends: [Int32] = [-1, -1]
        try #require(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue) | 0o2_000_000, 0, &ends) == 0)
        return (ends[0], ends[1])
    }
}
