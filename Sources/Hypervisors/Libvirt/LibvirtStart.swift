public import Devices

/// The description of a domain with which it is to be started once, its stored one with more devices in it.
struct LibvirtStart {
    /// The stored description, as libvirt wrote it.
    private let text: [UInt8]
    private let description: LibvirtDescription
    /// How many bytes of it are before the end of its devices.
    private let end: Int

    init(_ text: String) throws(XMLReader.Failure) {
        self.text = Array(text.utf8)
        description = try LibvirtDescription(XMLElement(parsing: self.text))
        var reader = XMLReader(self.text)
        var depth = 0
        var end: Int?
        var before = reader.offset
        while let piece = try reader.next() {
            switch piece {
            case .start: depth += 1
            case .end(let name):
                // Devices that are written `<devices/>` end where nothing can go in.
                if depth == 2, name == "devices", reader.offset > before { end = before }
                depth -= 1
            case .text: break
            }
            before = reader.offset
        }
        guard let end else { throw reader.failure("a domain without devices") }
        self.end = end
    }

    /// The description with a sound card for each microphone that it does not have already; nil when none is missing.
    ///
    /// All that libvirt wrote stays byte for byte: it may hold parts that mean something to others.
    func adding(_ microphones: [(Device.Mic, AttachmentID)]) -> String? {
        let present = description.aliases
        let missing = microphones.filter { present[$0.1] == nil }
        guard !missing.isEmpty else { return nil }
        let last = description.devices.filter { $0.name == "audio" }.compactMap { $0["id"].flatMap { Int($0) } }
            .max()
        let added = missing.enumerated().flatMap { index, microphone in
            LibvirtStart.sound(of: microphone.0, microphone.1, audio: (last ?? 0) + 1 + index)
        }
        return String(
            decoding: text.prefix(end) + Array(added.map(\.xml).joined().utf8) + text.dropFirst(end), as: UTF8.self)
    }

    /// A sound card that can only record, and its backend with that number.
    static func sound(of mic: Device.Mic, _ id: AttachmentID, audio: Int) -> [XMLElement] {
        [
            XMLElement(
                "sound", ["model": "ich9"],
                [
                    XMLElement("codec", ["type": "micro"]), XMLElement("audio", ["id": String(audio)]),
                    XMLElement("alias", ["name": id.alias]),
                ]),
            XMLElement(
                "audio", ["id": String(audio), "type": "alsa"],
                [XMLElement("input", ["dev": input(of: mic)]), XMLElement("output", ["dev": "null"])]),
        ]
    }

    /// dsnoop lets several VMs record at a time.
    static func input(of mic: Device.Mic) -> String {
        "dsnoop:CARD=\(mic.cardName ?? String(mic.card)),DEV=\(mic.device)"
    }
}

extension Libvirt {
    /// libvirt takes sound cards only at the start of a domain, in the description that it is started with.
    public func startDescription(of vm: VMName, with devices: [Device]) throws(HypervisorError) -> String? {
        let microphones = devices.compactMap { device in device.mic.map { ($0, AttachmentID(of: device)) } }
        guard !microphones.isEmpty else { return nil }
        let text = try storedDescription(of: vm)
        do { return try LibvirtStart(text).adding(microphones) } catch {
            throw HypervisorError(.notUnderstood, "VM \(vm): its stored description is \(error)")
        }
    }
}
