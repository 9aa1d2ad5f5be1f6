internal import Devices
internal import Platform

/// One ALSA device that records, by what the kernel shows of it below /sys.
struct CaptureDevice {
    /// The number of its card.
    let card: Int
    /// Its number on the card.
    let device: Int
    /// The card's name in ALSA: letters, digits, `_` and `-` (sound/core/init.c).
    let cardName: String?
    /// The number of its node.
    let number: Device.Number?
    /// Its one identity: the card's and its number on the card, which its driver gives.
    let identities: [DeviceIdentity]
    /// What it is, for exclusion.
    let canonical: CanonicalDevice

    /// Reads a device that the kernel calls `pcmC0D0c`; nil for any other, for one that has gone, and for a modem.
    init?(sysname: String, root: Root) {
        guard let (card, device) = CaptureDevice.numbers(in: sysname),
            let path = try? resolved(root.path("/sys/class/sound/\(sysname)"))
        else { return nil }
        let own = BlockFolder(path: path)
        guard own.text("pcm_class") != "modem" else { return nil }
        // …/0000:00:1b.0/sound/card0/pcmC0D0c
        let cardPath = parent(of: path)
        let hardware = parent(of: parent(of: cardPath))
        self.card = card
        self.device = device
        number = own.number
        cardName = BlockFolder(path: cardPath).text("id").flatMap(CaptureDevice.checked)
        let name = SoundCardName(hardware: hardware)?.description
        identities =
            (name ?? cardName.map { "card-\($0)" }).flatMap { try? DeviceIdentity("\($0):\(device)") }
            .map { [$0] } ?? []
        let place = plain(String(hardware[(hardware.lastIndex(of: "/") ?? hardware.startIndex)...].dropFirst()))
        canonical = CanonicalDevice(key: "mic-\(place)-\(device)", beneath: PhysicalParents(path: hardware).keys)
    }

    /// `mic-0-0`.
    var port: Port? { try? Port("mic-\(card)-\(device)", of: .mic) }

    /// The node that is opened to record.
    var node: String { "/dev/snd/pcmC\(card)D\(device)c" }

    private static func numbers(in sysname: String) -> (card: Int, device: Int)? {
        guard sysname.hasPrefix("pcmC"), sysname.hasSuffix("c") else { return nil }
        let numbers = sysname.dropFirst(4).dropLast().split(separator: "D", omittingEmptySubsequences: false)
        guard numbers.count == 2, let card = numbers.first.flatMap({ Int($0) }),
            let device = numbers.last.flatMap({ Int($0) }), card >= 0, device >= 0
        else { return nil }
        return (card, device)
    }

    private static func checked(_ name: String) -> String? {
        let isPlain = name.utf8.allSatisfy { VMName.mayContain($0) && $0 != UInt8(ascii: ".") }
        return isPlain && name.utf8.count <= 15 ? name : nil
    }
}

/// Which sound card it is, wherever it is plugged and whatever number it has: `usb-046d:0825:9E3A1B00` or
/// `pci-8086:293e:1af41100`, by vendor, product and serial number or by vendor, device and subsystem.
private struct SoundCardName: CustomStringConvertible {
    let description: String

    /// Looks at the hardware below a card and at what that hangs on; nil when there is none with an identity.
    init?(hardware: String) {
        var path = hardware
        while !path.isEmpty {
            let folder = BlockFolder(path: path)
            if let vendor = folder.text("idVendor"), let product = folder.text("idProduct") {
                let serial = folder.text("serial") ?? ""
                description = "usb-\(plain(vendor)):\(plain(product)):\(plain(serial))"
                return
            }
            if isPCIAddress(folder.sysname), let vendor = folder.hexadecimal("vendor"),
                let device = folder.hexadecimal("device")
            {
                let subsystem =
                    (folder.hexadecimal("subsystem_vendor") ?? "") + (folder.hexadecimal("subsystem_device") ?? "")
                description = "pci-\(vendor):\(device):\(subsystem)"
                return
            }
            path = parent(of: path)
        }
        return nil
    }
}

extension BlockFolder {
    /// `8086` of `0x8086`.
    fileprivate func hexadecimal(_ attribute: String) -> String? {
        text(attribute).map { plain($0.hasPrefix("0x") ? String($0.dropFirst(2)) : $0) }
    }
}

private func parent(of path: String) -> String { String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)]) }

/// Of what a device says the part that can be in a name: 64 letters, digits, `.`, `:`, `_` and `-`, others as `_`.
private func plain(_ text: String) -> String {
    String(
        decoding: text.utf8.prefix(64).map { byte -> UInt8 in
            VMName.mayContain(byte) || byte == UInt8(ascii: ":") ? byte : UInt8(ascii: "_")
        }, as: UTF8.self)
}
