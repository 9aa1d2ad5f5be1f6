import Devices
import Foundation
import Platform
import TestSupport
import Testing

@testable import Hypervisors

/// USB devices on QEMU: by a peer that answers as QEMU 7.2 did on a host with USB, and on a real QEMU as far as a host
/// without can go.
@Suite struct QEMUUSBTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func request(_ port: String = "2-1", node: String = "/dev/null") throws -> AttachRequest {
        let device = Device(
            .usb, source: .host, port: try Port(port, of: .usb), title: "a stick",
            canonical: CanonicalDevice(key: "usb-\(port)"),
            details: .usb(Device.USB(node: node, address: 4, number: Device.Number(major: 189, minor: 3))))
        return AttachRequest(
            device: device, options: .none, readOnly: false, backing: .open(try Descriptor.open(node, .readWrite)))
    }

    private func connect(_ script: [ScriptedPeer.Step]) throws -> (QEMUVM, ScriptedPeer) {
        let peer = ScriptedPeer(at: folder.path + "/work.sock", [.handshake("work")] + script + [.silence])
        let vm = try folder.qemu.connect(
            to: VMName("work"), until: Deadline(after: .seconds(120)), waiting: false)
        return (try #require(vm as? QEMUVM), peer)
    }

    private func answer(_ value: String) -> ScriptedPeer.Step { .answer("{\"return\": \(value), \"id\": ID}\n") }

    @Test("The open node goes over in a set, the device names set, controller and port, and the set is dropped")
    func commands() throws {
        let (vm, peer) = try connect([answer("{\"fdset-id\": 3, \"fd\": 9}"), answer("{}"), answer("{}")])
        let request = try request()
        vm.places[request.id] = .usb(port: 2, bus: "xhci.0")
        try vm.attach(request)
        let lines = peer.commands.dropFirst(2).map(\.line)
        #expect(lines.first?.contains(#""execute":"add-fd""#) == true)
        let plug =
            #"{"bus":"xhci.0","driver":"usb-host","hostdevice":"/dev/fdset/3","id":"vmdev-2-1","port":"2"}"#
        #expect(lines.dropFirst().first?.contains(plug) == true)
        #expect(lines.last?.contains(#"{"fdset-id":3}"#) == true)
        #expect(lines.count == 3)
    }

    @Test("A refusal leaves no set behind, and says that the device has gone when it has")
    func refused() throws {
        let error = "{\"class\": \"GenericError\", \"desc\": \"failed to open host usb device: No such device\"}"
        let (vm, peer) = try connect([
            answer("{\"fdset-id\": 3, \"fd\": 9}"), .answer("{\"error\": \(error), \"id\": ID}\n"), answer("{}"),
        ])
        let request = try request()
        vm.places[request.id] = .usb(port: 1, bus: "xhci.0")
        let thrown = #expect(throws: HypervisorError.self) { try vm.attach(request) }
        #expect(thrown?.message.contains("dom0:2-1 has gone") == true)
        #expect(peer.commands.last?.line.contains("remove-fd") == true)
    }

    /// What QEMU tells of a device (type, attached, bus, port), and what is wrong with it; nil when nothing is.
    static let answers: [(told: [String?], wrong: String?)] = [
        (["\"usb-host\"", "true", "\"/machine/peripheral/xhci/xhci.0\"", "\"2\""], nil),
        (["\"usb-host\"", "false", "\"/machine/peripheral/xhci/xhci.0\"", "\"2\""], "QEMU has lost it"),
        (["\"usb-host\"", nil, "\"/machine/peripheral/xhci/xhci.0\"", "\"2\""], "QEMU has lost it"),
        (["\"usb-host\"", "true", "\"/machine/peripheral/xhci/xhci.0\"", "\"4.1\""], "in port 4.1 of xhci.0"),
        (["\"usb-host\"", "true", "\"/machine/peripheral/ehci/ehci.0\"", "\"2\""], "port 2 of ehci.0"),
        (
            ["\"usb-hub\"", nil, "\"/machine/peripheral/xhci/xhci.0\"", "\"2\""],
            "'usb-hub' is no device of this host"
        ),
        ([nil, nil, nil, nil], "not among its devices"),
    ]

    @Test("QEMU's success is believed only when it tells the host's device in the very port", arguments: answers)
    func verify(told: [String?], wrong: String?) throws {
        let refusal = "{\"error\": {\"class\": \"GenericError\", \"desc\": \"not found\"}, \"id\": ID}\n"
        let (vm, _) = try connect(told.map { $0.map(answer) ?? .answer(refusal) })
        let request = try request()
        vm.places[request.id] = .usb(port: 2, bus: "xhci.0")
        let found = try vm.verify([request])
        #expect(found.count == 1)
        #expect((found.first ?? nil)?.message.contains(wrong ?? "-") == wrong.map { _ in true })
        #expect((found.first ?? nil).map(\.kind) == wrong.map { _ in .notVerified })
    }

    @Test(
        "A full controller is no place, QEMU's silent hub is not used, and what the error says makes room",
        .needsQEMU)
    func room() throws {
        let full = ["-device", "qemu-xhci,id=xhci"] + (0..<3).flatMap { _ in ["-device", "usb-tablet"] }
        let requests = try [request("2-1"), request("2-2")]
        let process = try QEMUProcess(arguments: full)
        let vm = try #require(try process.connect() as? QEMUVM)
        let found = try vm.place(requests)
        #expect(found.map { $0?.kind } == [nil, .noRoom])
        #expect(vm.places[try #require(requests.first).id] == .usb(port: 4, bus: "xhci.0"))
        let remedy = try #require(found.last??.remedy)
        let more = remedy.split(separator: ": ").last?.split(separator: " ").map(String.init) ?? []
        let roomy = try QEMUProcess("roomy", arguments: full + more)
        #expect(try roomy.connect().place(requests) == [nil, nil])
    }

    @Test("A disk does not take the last port that a USB device needs", .needsQEMU, .needsLoopDevices)
    func disksGiveWay() throws {
        let process = try QEMUProcess(
            arguments: ["-device", "qemu-xhci,id=xhci,p2=1,p3=1"])
        let disk = try LoopDisk()
        let found = try process.connect().place([disk.request(), request()])
        #expect(found.map { $0?.kind } == [.noRoom, nil])
    }

    @Test("A real QEMU that cannot use the node says so, and keeps neither device nor file", .needsQEMU)
    func noDevice() throws {
        let process = try QEMUProcess(arguments: ["-device", "qemu-xhci,id=xhci"])
        try refuse(by: process)
        // Members of a set are closed when the VM runs and the connection over which they came has ended.
        let vm = try #require(try process.connect() as? QEMUVM)
        #expect(try vm.attachments() == [])
        // QEMU 7.2 goes on listing the number of a set whose file a usb-host could not use, with nothing in it.
        #expect(try vm.call("asked for its sets", .sets).allSatisfy(\.members.isEmpty))
    }

    private func refuse(by process: QEMUProcess) throws {
        let vm = try process.connect()
        #expect(throws: HypervisorError.self) { try vm.attach(request()) }
        try vm.resume()
    }

}
