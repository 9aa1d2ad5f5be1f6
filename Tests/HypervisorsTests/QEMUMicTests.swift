import Devices
import Foundation
import Platform
import TestSupport
import Testing

@testable import Hypervisors

/// A microphone of the model; nothing of it is opened here.
private func mic(_ port: String = "mic", card: String? = "PCH") throws -> AttachRequest {
    AttachRequest(
        device: Device(
            .mic, source: .host, port: try Port(port, of: .mic), title: "a microphone",
            canonical: CanonicalDevice(key: "mic-0"),
            details: .mic(Device.Mic(card: 0, cardName: card, device: 2))), options: .none, readOnly: false,
        backing: .byName)
}

@Suite("Microphones in a real QEMU", .needsQEMU)
struct QEMUMicTests {
    let soon = Deadline(after: .seconds(120))
    static let backend = ["-audiodev", "none,id=vmdev-mic"]

    @Test(
        "A sound card that records from the microphone's backend goes in, is verified, and comes off again",
        arguments: [Machine.q35, .i440fx])
    func attach(machine: Machine) throws {
        let process = try QEMUProcess(
            machine: machine, ports: machine == .q35 ? 1 : 0,
            arguments: QEMUMicTests.backend + ["-audiodev", "none,id=vmdev-mic-0-2"])
        let vm = try #require(process.connect() as? QEMUVM)
        for port in ["mic", "mic-0-2"] {
            let request = try mic(port)
            #expect(try vm.verify([request]).first??.kind == .notVerified)
            #expect(try vm.place([request]) == [nil])
            try vm.attach(request)
            #expect(try vm.verify([request]) == [nil])
            #expect(try vm.attachments() == [request.id])
            let path = "\(QOM.peripheral)/\(request.id)"
            #expect(try vm.connection.call(QMPCommand<String>.get("audiodev", of: path)) == "vmdev-\(port)")
            try vm.detach(request.id, until: soon)
            #expect(try vm.attachments() == [])
        }
    }

    @Test(
        "Without its backend the error has the very argument to add, and nothing is left behind; no other backend is taken",
        arguments: [[], backend])
    func noBackend(arguments: [String]) throws {
        let process = try QEMUProcess(ports: 1, arguments: arguments)
        let vm = try process.connect()
        let request = try mic("mic-0-2")
        let error = #expect(throws: HypervisorError.self) { try vm.attach(request) }
        #expect(error?.kind == .noRoom)
        #expect(error?.message.contains("no sound backend 'vmdev-mic-0-2' for dom0:mic-0-2") == true)
        #expect(
            error?.remedy == """
                Start its QEMU with: -audiodev \
                alsa,id=vmdev-mic-0-2,in.dev=dsnoop:CARD=PCH,,DEV=2,out.dev=null
                """)
        #expect(try vm.attachments() == [])
        #expect(try vm.verify([request]).first??.kind == .notVerified)
    }

    @Test(
        "What the error says to add is an argument that QEMU takes; a backend that cannot open its device does not pass"
    )
    func advice() throws {
        let request = try mic("mic-0-2", card: nil)
        let without = try QEMUProcess(ports: 1)
        let bare = try without.connect()
        let error = try #require(#expect(throws: HypervisorError.self) { try bare.attach(request) })
        let argument = try #require(error.remedy?.split(separator: " ").last.map(String.init))
        #expect(argument.contains("dsnoop:CARD=0,,DEV=2"))
        let process = try QEMUProcess("other", ports: 1, arguments: ["-audiodev", argument])
        let vm = try process.connect()
        try vm.attach(request)
        // There is no sound card here, and QEMU says so nowhere but on its standard error.
        let silent = try vm.verify([request]).first ?? nil
        #expect(silent?.kind == .notVerified)
        #expect(silent?.message.contains("would be silent: its QEMU has not opened /dev/snd/pcmC0D2c") == true)
        // A VM that had it before may have closed it for reasons of its own.
        let again = AttachRequest(device: request.device, options: .none, readOnly: false, backing: .alreadyThere)
        #expect(try vm.verify([again]) == [nil])
    }

    @Test("A sound card with another backend, or something that cannot record, does not pass verification")
    func notVerified() throws {
        for device in ["AC97,audiodev=other", "virtio-rng-pci"] {
            let process = try QEMUProcess(
                ports: 1, arguments: ["-audiodev", "none,id=other", "-device", "\(device),id=vmdev-mic,bus=rp0"])
            let error = try process.connect().verify([try mic()]).first ?? nil
            #expect(error?.kind == .notVerified)
            #expect(error?.message.contains(device.hasPrefix("AC97") ? "'other'" : "'virtio-rng-pci'") == true)
        }
    }

    @Test("A disk moves to SCSI for a microphone, which can only be on PCI; what came first is never left without")
    func disksMove() throws {
        let process = try QEMUProcess(
            ports: 1, arguments: QEMUMicTests.backend + ["-device", "virtio-scsi-pci,id=scsi0"])
        let vm = try #require(process.connect() as? QEMUVM)
        let disk = try LoopDisk().request()
        #expect(try vm.place([disk, try mic()]) == [nil, nil])
        #expect(vm.places[disk.id] == .scsi(target: 0, bus: "scsi0.0"))
        #expect(vm.places[try mic().id] == .port(bus: "rp0"))

        let other = try QEMUProcess("other", ports: 1, arguments: QEMUMicTests.backend)
        let small = try other.connect()
        let obstacles = try small.place([disk, try mic()])
        #expect(obstacles.first == .some(nil))
        #expect(obstacles.last??.kind == .noRoom)
        #expect(obstacles.last??.remedy?.contains("-device pcie-root-port") == true)
    }

    @Test("A machine without a place says so", arguments: [Machine.microvm, .i440fx])
    func noPlace(machine: Machine) throws {
        let arguments = machine == .i440fx ? ["-global", "PIIX4_PM.acpi-root-pci-hotplug=off"] : []
        let process = try QEMUProcess(machine: machine, arguments: arguments)
        let vm = try process.connect()
        let error = #expect(throws: HypervisorError.self) { try vm.attach(try mic()) }
        #expect(error?.kind == .noRoom)
        #expect(error?.remedy != nil)
    }
}

@Suite("Sound backends on QEMU's command line")
struct SoundBackendTests {
    @Test(
        "A backend is read as QEMU reads it, and only one that records from a card directly is held to it",
        arguments: [
            ("alsa,id=vmdev-mic,in.dev=hw:0,,0,out.dev=null", "alsa hw:0,0 direct"),
            ("driver=alsa,in.dev=dsnoop:CARD=PCH,,DEV=0,id=vmdev-mic", "alsa dsnoop:CARD=PCH,DEV=0 direct"),
            ("alsa,id=vmdev-mic", "alsa -"), ("alsa,id=vmdev-mic,in.dev=default", "alsa default"),
            ("pa,id=vmdev-mic,in.name=hw:0", "pa -"), ("alsa,id=vmdev-mic-0-0,in.dev=hw:0", "none"),
            ("alsa,id=other,in.dev=x,,id=vmdev-mic", "none"),
            ("{\"driver\":\"alsa\",\"id\":\"vmdev-mic\"}", "none"), ("", "none"),
        ])
    func reading(value: String, means: String) {
        let backend = SoundBackend(id: "vmdev-mic", in: ["qemu", "-S", "-audiodev", value, "-m", "32"])
        let text = backend.map { "\($0.driver) \($0.input ?? "-")\($0.isDirect ? " direct" : "")" }
        #expect(text ?? "none" == means)
    }
}

@Suite("Microphones on QEMUs that are not installed here")
struct ScriptedMicTests {
    @Test(
        "A QEMU with a newer sound card gets that one, and its refusal is understood",
        arguments: [
            ("audiodev 'vmdev-mic' not found", HypervisorError.Kind.noRoom, "-audiodev alsa,id=vmdev-mic,"),
            ("'virtio-sound-pci' is not a valid device model name", .unsupported, "Install a QEMU"),
            ("Duplicate device ID 'vmdev-mic'", .refused, "Detach it first"),
            ("something new", .refused, "something new"),
        ])
    func refusals(text: String, kind: HypervisorError.Kind, says: String) throws {
        let folder = try TemporaryFolder()
        let refusal = ScriptedPeer.Step.answer(
            "{\"error\": {\"class\": \"GenericError\", \"desc\": \"\(text)\"}, \"id\": ID}\n")
        let count = kind == .unsupported ? 3 : 1
        let peer = ScriptedPeer(
            at: folder.path + "/work.sock",
            [.handshake("work")] + Array(repeating: refusal, count: count) + [.silence])
        let vm = try #require(
            folder.qemu.connect(to: VMName("work"), until: Deadline(after: .seconds(120)), waiting: true) as? QEMUVM
        )
        let request = try mic()
        vm.places[request.id] = .port(bus: "rp0")
        let error = #expect(throws: HypervisorError.self) { try vm.attach(request) }
        #expect(error?.kind == kind)
        #expect(error?.description.contains(says) == true)
        let models = peer.commands.compactMap { $0.line.contains("device_add") ? $0.line : nil }
        #expect(models.count == count)
        #expect(models.first?.contains("virtio-sound-pci") == true)
        #expect(models.allSatisfy { $0.contains("\"audiodev\":\"vmdev-mic\"") && $0.contains("\"addr\":\"0x0\"") })
    }
}
