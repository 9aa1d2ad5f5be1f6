@testable import Devices
@testable import HostDevices

/// Device references: what is read is written in the same way, and none of it leaves a folder.
func readReferences(_ bytes: [UInt8]) {
    let text = String(decoding: bytes, as: UTF8.self)
    for kind in DeviceClass.allCases {
        if let reference = try? DeviceReference(parsing: text, of: kind) {
            let again = try? DeviceReference(parsing: "\(reference)", of: kind)
            promise(again == reference, "\(reference) is read as \(String(describing: again))")
            promise(isPlain("\(reference)"), "\(reference) could act on a terminal")
        }
        if let port = try? Port(text, of: kind) {
            promise(isFileName("\(port)"), "port \(port) leaves its folder")
            promise((try? Port("\(port)", of: kind)) == port, "port \(port) is read as another")
            promise(!(port < port), "port \(port) comes before itself")
        }
        if let pair = try? DeviceOptions.pair(parsing: text), let options = try? DeviceOptions([pair], of: kind) {
            let entry = options.entries[0]
            let again = try? DeviceOptions([(entry.key, entry.value)], of: kind)
            promise(again == options, "\(options.summary) is read as something else")
        }
    }
    if let vm = try? VMName(text) { promise(isFileName("\(vm)"), "VM \(vm) leaves its folder") }
    if let address = try? SourceAddress(text) {
        promise((try? SourceAddress("\(address)")) == address, "\(address) is read as another")
    }
    _ = try? VMNamePattern(text)
    _ = try? Plug(parsing: text)
    _ = TimeSpan(text)
}

/// What devices say of themselves: nothing that acts on a terminal, the journal or the table comes out of it.
func readStrings(_ bytes: [UInt8]) {
    let text = String(decoding: bytes, as: UTF8.self)
    for limit in [1, 40, 256] {
        for shown in [printable(text, limit: limit), printable(bytes, limit: limit)] {
            promise(isPlain(shown), "\(shown.unicodeScalars.map(\.value)) could act on a terminal")
            promise(shown.unicodeScalars.count <= limit + 1, "more than \(limit) characters are shown")
            promise(printable(shown, limit: limit) == shown, "what is printable is not printed as it is")
        }
    }
    if let identity = try? DeviceIdentity(text) {
        promise(isPlain("\(identity)") && "\(identity)".utf8.count <= DeviceIdentity.maximumLength, "\(identity)")
    }
    for partition in [nil, 1, 128] {
        let serial = guestSerial(text, name: "sda", partition: partition)
        promise(serial.utf8.count <= 20 && isFileName("virtio-\(serial)"), "serial number \(serial)")
        for identity in blockIdentities(links: [text], backingFile: text, partition: partition) {
            promise(isPlain("\(identity)"), "\(identity)")
        }
    }
    _ = serialNumber(inPage: bytes)
    _ = SoundReport.cards(in: text)
}

/// What no terminal acts upon: neither control characters nor marks that reorder text.
func isPlain(_ text: String) -> Bool {
    text.unicodeScalars.allSatisfy {
        $0.value >= 0x20 && !(0x7f...0x9f).contains($0.value) && !(0x200e...0x200f).contains($0.value)
            && !(0x2028...0x202e).contains($0.value) && !(0x2066...0x2069).contains($0.value)
    }
}

/// A name that stays in its folder.
private func isFileName(_ text: String) -> Bool {
    !text.isEmpty && text != "." && text != ".." && text.utf8.count <= 255
        && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "/") }
}
