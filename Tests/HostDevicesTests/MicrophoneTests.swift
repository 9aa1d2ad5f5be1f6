import Devices
import Foundation
import Glibc
import Platform
import Testing

@testable import HostDevices

/// A host with sound cards, in a folder: what ALSA and the kernel show of them.
private final class SoundHost {
    let folder: TemporaryFolder
    var microphones: HostMicrophones { HostMicrophones(root: Root(folder.path), reports: folder.path + "/asound") }

    init() throws { folder = try TemporaryFolder() }

    /// A card and its capture devices; `hardware` is below /sys/devices.
    func add(
        card: Int, _ id: String, on hardware: String, pcm devices: [Int] = [0], name: String = "Some Analog",
        kind: String = "generic"
    ) throws {
        let path = "sys/devices/\(hardware)/sound/card\(card)"
        try folder.write("\(path)/id", id + "\n")
        try folder.link("sys/class/sound/card\(card)", to: "\(folder.path)/\(path)")
        for device in devices {
            let pcm = "pcmC\(card)D\(device)c"
            try folder.write("\(path)/\(pcm)/pcm_class", kind + "\n")
            // /dev/null's number: the one character device that every test machine has.
            try folder.write("\(path)/\(pcm)/dev", "1:3\n")
            try folder.link("sys/class/sound/\(pcm)", to: "\(folder.path)/\(path)/\(pcm)")
            try folder.link("dev/snd/\(pcm)", to: "/dev/null")
            try folder.write("asound/card\(card)/pcm\(device)c/info", "card: \(card)\nid: \(name)\nname: \(name)\n")
            try folder.write("asound/card\(card)/pcm\(device)c/sub0/status", "closed\n")
        }
    }

    /// The attributes of a card's hardware.
    func describe(_ hardware: String, _ attributes: [String: String]) throws {
        for (name, value) in attributes { try folder.write("sys/devices/\(hardware)/\(name)", value + "\n") }
    }

    static let hda = "pci0000:00/0000:00:1b.0"
    static let webcam = "pci0000:00/0000:00:14.0/usb1/1-2"

    /// An onboard card with two capture devices and a webcam.
    static func usual() throws -> SoundHost {
        let host = try SoundHost()
        try host.add(card: 0, "PCH", on: hda, pcm: [0, 2], name: "ALC887-VD Analog")
        try host.describe(
            hda,
            [
                "vendor": "0x8086", "device": "0x293e", "subsystem_vendor": "0x1af4", "subsystem_device": "0x1100",
            ])
        try host.add(card: 1, "C270", on: "\(webcam)/1-2:1.2", name: "USB Audio")
        try host.describe(webcam, ["idVendor": "046d", "idProduct": "0825", "serial": "9E3A1B00"])
        try host.folder.write(
            "asound/cards",
            """
             0 [PCH            ]: HDA-Intel - HDA Intel PCH
                                  HDA Intel PCH at 0xfebf0000 irq 30
             1 [C270           ]: USB-Audio - Webcam C270
                                  Webcam [C270] at usb-0000:00:14.0-2, high speed

            """)
        return host
    }

    func device(in port: String) throws -> Device {
        try #require(try microphones.devices().first { $0.port.description == port })
    }
}

@Suite("The microphones of this host")
struct MicrophoneTests {
    @Test("Each capture device is a port of its own, and the first of the host is the port mic as well")
    func ports() throws {
        let host = try SoundHost.usual()
        let devices = try host.microphones.devices()
        #expect(devices.map(\.port.description) == ["mic", "mic-0-0", "mic-0-2", "mic-1-0"])
        #expect(devices[0].canonical == devices[1].canonical)
        #expect(Set(devices.map(\.canonical.key)).count == 3)
        #expect(devices.map(\.title).last == "Webcam C270: USB Audio")
        #expect(devices[0].title == "HDA Intel PCH: ALC887-VD Analog")
        #expect(
            devices[0].mic
                == Device.Mic(card: 0, cardName: "PCH", device: 0, number: Device.Number(major: 1, minor: 3)))
    }

    @Test("The identity is the card's make and not its number, so that it survives renumbering")
    func identity() throws {
        let host = try SoundHost.usual()
        #expect(
            try host.microphones.devices().compactMap(\.identities.first?.description) == [
                "pci-8086:293e:1af41100:0", "pci-8086:293e:1af41100:0", "pci-8086:293e:1af41100:2",
                "usb-046d:0825:9E3A1B00:0",
            ])
        let other = try SoundHost()
        let bus = "pci0000:00/0000:00:14.0/usb2/2-1"
        try other.add(card: 0, "C270", on: "\(bus)/2-1:1.2")
        try other.describe(bus, ["idVendor": "046d", "idProduct": "0825", "serial": "9E3A1B00"])
        #expect(try other.device(in: "mic-0-0").identities == host.device(in: "mic-1-0").identities)
    }

    @Test("A card without hardware of a make is known by its name in ALSA")
    func virtualCard() throws {
        let host = try SoundHost()
        try host.add(card: 3, "Loopback", on: "platform/snd_aloop.0", pcm: [1])
        #expect(try host.device(in: "mic").identities.map(\.description) == ["card-Loopback:1"])
    }

    @Test("A microphone excludes its sound card, under whatever class that is taken")
    func beneath() throws {
        let host = try SoundHost.usual()
        #expect(try host.device(in: "mic").canonical.beneath == ["pci-0000:00:1b.0"])
        let webcam = try host.device(in: "mic-1-0").canonical
        #expect(webcam.beneath.contains("pci-0000:00:14.0"))
        #expect(webcam.beneath.contains { $0.hasPrefix("usb-") })
    }

    @Test(
        "What does not record is no microphone",
        arguments: ["pcmC0D0p", "controlC0", "pcmC0Dxc", "pcmC0D0", "timer", "pcmCD0c", "pcmC-1D0c", "pcmC0D0D1c"])
    func notOne(name: String) throws {
        let host = try SoundHost()
        try host.folder.write("sys/class/sound/\(name)/dev", "1:3\n")
        #expect(try host.microphones.devices().isEmpty)
    }

    @Test("A modem is no microphone, and a host without sound has none")
    func none() throws {
        let host = try SoundHost()
        #expect(try host.microphones.devices().isEmpty)
        try host.add(card: 0, "Modem", on: SoundHost.hda, kind: "modem")
        #expect(try host.microphones.devices().isEmpty)
    }

    @Test("What a device says of itself reaches neither a name nor a terminal as it is")
    func hostile() throws {
        let host = try SoundHost()
        try host.add(
            card: 0, "PCH,out.dev=/x", on: "\(SoundHost.webcam)/1-2:1.0", name: "\u{1B}[31mMic\u{202E}\u{7}")
        try host.describe(
            SoundHost.webcam, ["idVendor": "046d", "idProduct": "0825", "serial": "a b\u{1B}]0;x\u{7}/../:é"])
        let device = try host.device(in: "mic")
        #expect(device.title == "sound card 0: ?[31mMic??")
        #expect(device.mic?.cardName == nil)
        let identity = try #require(device.identities.first?.description)
        #expect(identity == "usb-046d:0825:a_b__0_x__.._:__:0")
        #expect(
            device.canonical.key.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || ".:_-".contains($0)) })
    }

    @Test("A process of the host that records is told, and does not keep a VM from it")
    func user() throws {
        let host = try SoundHost.usual()
        #expect(try host.microphones.devices().allSatisfy { $0.cautions.isEmpty && $0.uses.isEmpty })
        try host.folder.write(
            "asound/card0/pcm0c/sub0/status", "state: RUNNING\nowner_pid   : \(getpid())\ntrigger_time: 1.2\n")
        let device = try host.device(in: "mic")
        #expect(device.uses.isEmpty)
        #expect(device.cautions.count == 1)
        #expect(device.cautions.first?.hasPrefix("process \(getpid()) (") == true)
        #expect(try host.device(in: "mic-0-2").cautions.isEmpty)
    }

    @Test("A claim takes nothing from the host and is refused for what has gone or is another device now")
    func claim() throws {
        let host = try SoundHost.usual()
        func claim(_ device: Device) throws(SourceError) -> Descriptor? {
            try host.microphones.claim(device, for: .host, readOnly: false, options: .none)
        }
        let (mic, webcam) = (try host.device(in: "mic"), try host.device(in: "mic-1-0"))
        #expect(try claim(mic) == nil)
        try host.describe(SoundHost.webcam, ["serial": "OTHER"])
        #expect(#expect(throws: SourceError.self) { try claim(webcam) }?.kind == .changed)
        try FileManager.default.removeItem(atPath: host.folder.path + "/dev/snd/pcmC0D0c")
        let noNode = #expect(throws: SourceError.self) { try claim(mic) }
        #expect(noNode?.kind == .gone)
        #expect(noNode?.message.contains("/dev/snd/pcmC0D0c") == true)
        try FileManager.default.removeItem(atPath: host.folder.path + "/sys/class/sound/pcmC0D0c")
        #expect(#expect(throws: SourceError.self) { try claim(mic) }?.message == "dom0:mic has gone")
    }

    @Test(
        "A port without a microphone says what is there instead",
        arguments: [
            ("mic", true, "no sound card of this host can record"),
            ("mic-1-0", true, "this host has no sound card 1"),
            ("mic-0-7", true, "sound card 0 has no such capture device"),
            ("mic", false, "this host has no sound card, or its driver is not loaded"),
        ])
    func absence(port: String, hasCard: Bool, says: String) throws {
        let host = try SoundHost()
        if hasCard { try host.add(card: 0, "PCH", on: SoundHost.hda, pcm: []) }
        #expect(host.microphones.absence(of: try Port(port, of: .mic)) == says)
    }
}
