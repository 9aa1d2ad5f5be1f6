import Devices
import Foundation
import Platform
import TestSupport
import Testing

@testable import Hypervisors

/// What QEMU is told of a PCI function of the host's, and what a user is told of its answers.
@Suite struct QEMUFunctionTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func request(companions: [String] = []) throws -> AttachRequest {
        AttachRequest(
            device: Device(
                .pci, source: .host, port: try Devices.Port("01_00.0", of: .pci), title: "a card",
                canonical: CanonicalDevice(key: "pci-0000:01:00.0", alone: ["iommu-7"]),
                details: .pci(
                    Device.PCI(
                        address: "0000:01:00.0", driver: "vfio-pci", group: 7, companions: companions,
                        canReset: true))),
            options: .none, readOnly: false, backing: .byName)
    }

    private func connect(
        placedAt place: QEMUPlace, _ script: ScriptedPeer.Step...
    ) throws -> (QEMUVM, AttachRequest, ScriptedPeer) {
        let peer = ScriptedPeer(at: "\(folder.path)/work.sock", [.handshake("work")] + script)
        let vm = try folder.qemu.connect(to: VMName("work"), until: Deadline(after: .seconds(120)), waiting: true)
        let machine = try #require(vm as? QEMUVM)
        let request = try request()
        machine.places[request.id] = place
        return (machine, request, peer)
    }

    @Test(
        "QEMU gets the function's address and the place that was found for it, each in the type that it wants",
        arguments: [(QEMUPlace.port(bus: "rp2"), "rp2", "0x0"), (.slot(17, bus: "pci.0"), "pci.0", "0x11")])
    func command(place: QEMUPlace, bus: String, slot: String) throws {
        let (vm, request, peer) = try connect(placedAt: place, .answer("{\"return\": {}, \"id\": ID}\n"))
        try vm.attach(request)
        let line = try #require(peer.commands.last?.line)
        let object = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
        #expect(object["execute"] as? String == "device_add")
        #expect(
            object["arguments"] as? [String: String] == [
                "driver": "vfio-pci", "id": "vmdev-01_00.0", "host": "0000:01:00.0", "bus": bus, "addr": slot,
            ])
    }

    static let faults: [(String, HypervisorError.Kind, String)] = [
        ("vfio 0000:01:00.0: no iommu_group found: No such file or directory", .unsupported, "intel_iommu=on"),
        ("vfio 0000:01:00.0: group 7 is not viable", .taken, "the host uses others"),
        (
            "vfio 0000:01:00.0: failed to open /dev/vfio/7: Permission denied", .forbidden, "chown USER /dev/vfio/7"
        ),
        ("vfio 0000:01:00.0: failed to open /dev/vfio/7: Device or resource busy", .taken, "fuser -v /dev/vfio/7"),
        ("vfio 0000:01:00.0: failed to open /dev/vfio/7: No such file or directory", .refused, "PrivateDevices=no"),
        (
            "vfio 0000:01:00.0: failed to setup container for group 7: memory listener initialization failed: "
                + "Region pc.ram: vfio_dma_map(0x1, 0x0, 0x80000000, 0x2) = -12 (Cannot allocate memory)", .refused,
            "LimitMEMLOCK=infinity"
        ),
        (
            "vfio 0000:01:00.0: failed to setup container for group 7: Failed to set iommu for container: "
                + "Operation not permitted", .refused, "allow_unsafe_interrupts"
        ),
        (
            "vfio /sys/bus/pci/devices/0000:01:00.0: no such host device: No such file or directory", .refused,
            "has gone"
        ),
        ("something new", .refused, "something new"),
    ]

    @Test("What VFIO refuses is told with what to do about it", arguments: faults)
    func fault(text: String, kind: HypervisorError.Kind, says: String) throws {
        let (vm, request, peer) = try connect(
            placedAt: .port(bus: "rp2"),
            .answer("{\"error\": {\"class\": \"GenericError\", \"desc\": \"\(text)\"}, \"id\": ID}\n"))
        let error = #expect(throws: HypervisorError.self) { try vm.attach(request) }
        #expect(error?.kind == kind)
        #expect(error?.description.contains(says) == true, "\(error.map(\.description) ?? "")")
        withExtendedLifetime(peer) {}
    }

    /// realized, host, parent_bus, addr; and what is wrong with it.
    static let answers: [([String], String?)] = [
        (["true", "\"0000:01:00.0\"", "\"/machine/peripheral/rp2/rp2\"", "0"], nil),
        (["false", "\"0000:01:00.0\"", "\"/machine/peripheral/rp2/rp2\"", "0"], "has not finished"),
        (["true", "\"0000:02:00.0\"", "\"/machine/peripheral/rp2/rp2\"", "0"], "it is the host's '0000:02:00.0'"),
        (["true", "\"0000:01:00.0\"", "\"/machine/peripheral/rp1/rp1\"", "0"], "not on rp2"),
        (["true", "\"0000:01:00.0\"", "\"/machine/peripheral/rp2/rp2\"", "8"], "in slot 1"),
    ]

    @Test("A yes of QEMU's counts only when the very function is there, where a guest looks", arguments: answers)
    func verification(values: [String], wrong: String?) throws {
        let script = values.map { ScriptedPeer.Step.answer("{\"return\": \($0), \"id\": ID}\n") }
        let peer = ScriptedPeer(at: "\(folder.path)/work.sock", [.handshake("work")] + script)
        let connected = try folder.qemu.connect(
            to: VMName("work"), until: Deadline(after: .seconds(120)), waiting: true)
        let vm = try #require(connected as? QEMUVM)
        let request = try request()
        vm.places[request.id] = .port(bus: "rp2")
        let failure = try #require(try vm.verify([request]).first)
        #expect(failure?.kind == (wrong == nil ? nil : .notVerified))
        if let wrong { #expect(failure?.message.contains(wrong) == true, "\(failure?.message ?? "")") }
        withExtendedLifetime(peer) {}
    }
}
