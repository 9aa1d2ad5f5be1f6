import Devices
import Foundation
import Platform
import Testing

@testable import Hypervisors

/// Where devices go in a real QEMU.
@Suite(.needsLoopDevices, .needsQEMU) struct QEMUPlaceTests {
    /// A machine, what is to be attached, and where it has to go; nil has no room and the text says what to add.
    struct Case: Sendable, CustomTestStringConvertible {
        let testDescription: String
        var machine = Machine.q35
        var ports = 0
        var arguments: [String] = []
        var count = 1
        var optical = false
        let places: [QEMUPlace?]
        var advice: [String] = []
    }

    static let scsi = ["-device", "virtio-scsi-pci,id=scsi0"]
    static let usb = ["-device", "qemu-xhci,id=xhci"]

    static let cases = [
        Case(
            testDescription: "ports first, in order", ports: 2, arguments: scsi + usb, count: 3,
            places: [.port(bus: "rp0"), .port(bus: "rp1"), .scsi(target: 0, bus: "scsi0.0")]),
        Case(
            testDescription: "a port that is taken, or takes nothing while the machine is on, is passed over",
            ports: 1,
            arguments: [
                "-device", "virtio-rng-pci,bus=rp0", "-device",
                "pcie-root-port,id=fixed,bus=pcie.0,chassis=9,slot=9,hotplug=off", "-device",
                "pcie-root-port,id=free,bus=pcie.0,chassis=10,slot=10",
            ], places: [.port(bus: "free")]),
        Case(
            testDescription: "a port without an id is used if its bus has a name of its own",
            arguments: ["-device", "pcie-root-port,chassis=1", "-device", "pcie-root-port,chassis=2"], count: 2,
            places: [.port(bus: "pcie.1"), nil],
            advice: ["-device pcie-root-port,id=vmdev-port3,bus=pcie.0,chassis=3,slot=3"]),
        Case(
            testDescription: "the last of many ports, when all others are taken", ports: 13,
            arguments: (0..<12).flatMap { ["-device", "virtio-rng-pci,bus=rp\($0)"] },
            places: [.port(bus: "rp12")]),
        Case(
            testDescription: "ports by their addresses, not by their names",
            arguments: ["-device", "pcie-root-port,id=z,chassis=1", "-device", "pcie-root-port,id=a,chassis=2"],
            count: 2, places: [.port(bus: "z"), .port(bus: "a")]),
        Case(
            testDescription: "SCSI targets beside those that are taken",
            arguments: scsi + [
                "-blockdev", "null-co,node-name=n0", "-device", "scsi-hd,drive=n0,bus=scsi0.0,scsi-id=1",
            ], count: 2, places: [.scsi(target: 0, bus: "scsi0.0"), .scsi(target: 2, bus: "scsi0.0")]),
        Case(
            testDescription: "USB last, and never behind a hub that nobody asked for",
            arguments: usb + ["-device", "usb-tablet,bus=xhci.0,port=2"], count: 4,
            places: [1, 3, 4].map { .usb(port: $0, bus: "xhci.0") } + [nil],
            advice: ["-device pcie-root-port,id=vmdev-port1,bus=pcie.0,chassis=1,slot=1"]),
        Case(
            testDescription: "a machine without room says what to add, for each device", ports: 1,
            arguments: ["-device", "virtio-rng-pci,bus=rp0"], count: 2, places: [nil, nil],
            advice: [
                "-device pcie-root-port,id=vmdev-port2,bus=pcie.0,chassis=2,slot=2",
                "-device pcie-root-port,id=vmdev-port3,bus=pcie.0,chassis=3,slot=3",
            ]),
        Case(
            testDescription: "i440fx: free slots of its bus", machine: .i440fx, arguments: scsi, count: 2,
            places: [.slot(3, bus: "pci.0"), .slot(4, bus: "pci.0")]),
        Case(
            testDescription: "i440fx whose bus takes nothing while the machine is on", machine: .i440fx,
            arguments: ["-global", "PIIX4_PM.acpi-root-pci-hotplug=off"], places: [nil],
            advice: ["-device virtio-scsi-pci,id=vmdev-scsi"]),
        Case(
            testDescription: "i440fx, its own USB controller", machine: .i440fx,
            arguments: ["-global", "PIIX4_PM.acpi-root-pci-hotplug=off", "-device", "piix3-usb-uhci,id=uhci"],
            places: [.usb(port: 1, bus: "uhci.0")]),
        Case(
            testDescription: "an optical drive goes to SCSI, free ports or not", ports: 1, arguments: scsi,
            optical: true, places: [.scsi(target: 0, bus: "scsi0.0")]),
        Case(
            testDescription: "an optical drive without SCSI", ports: 1, optical: true, places: [nil],
            advice: ["-device virtio-scsi-pci,id=vmdev-scsi"]),
        Case(
            testDescription: "a machine without PCI", machine: .microvm,
            arguments: ["-device", "virtio-scsi-device,id=scsi0"], places: [.scsi(target: 0, bus: "scsi0.0")]),
        Case(
            testDescription: "a machine without PCI and room", machine: .microvm, places: [nil],
            advice: ["-device virtio-scsi-device,id=vmdev-scsi"]),
    ]

    @Test("Devices go where there is room, work there, and can be taken away", arguments: cases)
    func places(this: Case) throws {
        let process = try QEMUProcess(machine: this.machine, ports: this.ports, arguments: this.arguments)
        let vm = try #require(process.connect() as? QEMUVM)
        let disks = try (0..<this.count).map { _ in try LoopDisk() }
        let requests = try disks.map { try $0.request(readOnly: this.optical, options: options(this)) }

        let obstacles = try vm.place(requests)
        #expect(requests.map { vm.places[$0.id] } == this.places)
        #expect(obstacles.map { $0 == nil } == this.places.map { $0 != nil })
        #expect(obstacles.compactMap { $0 }.allSatisfy { $0.kind == .noRoom })
        let remedies = obstacles.compactMap { $0?.remedy }
        #expect(remedies == this.advice.map { "Start its QEMU with: \($0)" })

        let placed = requests.filter { vm.places[$0.id] != nil }
        for request in placed { try vm.attach(request) }
        #expect(try vm.verify(placed) == placed.map { _ in nil })
        for request in placed { try vm.detach(request.id, until: Deadline(after: .seconds(120))) }
        #expect(try vm.attachments() == [])
    }

    @Test("What an error says to add makes room", arguments: cases.filter { !$0.advice.isEmpty })
    func advice(this: Case) throws {
        let more = this.advice.flatMap { $0.split(separator: " ").map(String.init) }
        let process = try QEMUProcess(machine: this.machine, ports: this.ports, arguments: this.arguments + more)
        let vm = try process.connect()
        let disks = try (0..<this.count).map { _ in try LoopDisk() }
        let requests = try disks.map { try $0.request(readOnly: this.optical, options: options(this)) }
        #expect(try vm.place(requests) == requests.map { _ in nil })
    }

    @Test("A device for which nobody looked for a place finds one itself")
    func unplanned() throws {
        let process = try QEMUProcess(ports: 1)
        let vm = try process.connect()
        let disks = [try LoopDisk(), try LoopDisk()]
        try vm.attach(try disks[0].request())
        let second = try disks[1].request()
        let error = #expect(throws: HypervisorError.self) { try vm.attach(second) }
        #expect(error?.kind == .noRoom)
    }

    private func options(_ this: Case) -> [(String, String)] { this.optical ? [("devtype", "cdrom")] : [] }
}
