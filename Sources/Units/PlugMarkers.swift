public import Devices

/// Which devices of this host somebody has assigned, as names of empty files for the udev rule to look at: it can test
/// whether a file is there and nothing more, and so starts nothing for any other device.
///
/// A kind of identity that the rule cannot compare (a name of a rule of somebody else's, a USB port by its controller)
/// is kept as `any` device of its class; so is a long list.
public struct PlugMarkers: Hashable, Sendable {
    /// The folder in which they are, beside the drop-ins.
    public static let folder = "vmdev"
    /// Is there once all others are: without it nothing is known, and each device is looked at.
    public static let complete = "known"
    /// The most files of one class.
    static let limit = 64

    /// The names of the files, in order.
    public let names: [String]

    /// Marks what the assignments may mean.
    public init(_ assignments: some Sequence<Assignment>) {
        var marks: [DeviceClass: Set<String>] = [:]
        for assignment in assignments where assignment.device.source.isHost {
            let device = assignment.device
            guard let mark = PlugMarkers.mark(device) else { continue }
            marks[device.deviceClass, default: []].insert("\(device.deviceClass):\(mark)")
        }
        names = marks.flatMap { deviceClass, names in
            let any = "\(deviceClass):any"
            // A loop device has no name that the rule could test, and is not among the others.
            let loops = names.filter { $0 == "block:loop" }
            return names.contains(any) || names.count > PlugMarkers.limit ? loops.union([any]) : names
        }.sorted()
    }

    private static func mark(_ device: DeviceReference) -> String? {
        switch device.deviceClass {
        case .pci: nil
        case .mic: "any"
        case .usb: device.identity.map { usbMark($0.description) } ?? device.port.map { "port:\($0)" }
        case .block: device.identity.map { blockMark($0.description) } ?? device.port.map(blockMark)
        }
    }

    /// `046d:0825:…` by its vendor and product.
    private static func usbMark(_ identity: String) -> String {
        let fields = identity.utf8.split(separator: UInt8(ascii: ":"), maxSplits: 2).prefix(2)
        let isNumbers = fields.count == 2 && fields.allSatisfy { $0.count == 4 && $0.allSatisfy(isHexadecimal) }
        return isNumbers ? "id:\(fields.map { String(Substring($0)) }.joined(separator: ":"))" : "any"
    }

    /// A name below /dev/disk/by-id that udev's own rules make of ID_SERIAL, and that a file can have.
    private static func blockMark(_ identity: String) -> String {
        if identity.hasPrefix("/") { return "loop" }
        let isKnown = ["usb-", "ata-", "virtio-"].contains(where: identity.hasPrefix)
        let isPlain = identity.utf8.allSatisfy { VMName.mayContain($0) || "#+:=@".utf8.contains($0) }
        return isKnown && isPlain && identity.utf8.count <= 200 ? "id:\(identity)" : "any"
    }

    /// The kernel's name; one with `_` may be written otherwise there.
    private static func blockMark(_ port: Port) -> String {
        let name = port.description
        if name.contains("_") { return "any" }
        return name.hasPrefix("loop") ? "loop" : "port:\(name)"
    }

    private static func isHexadecimal(_ byte: UInt8) -> Bool {
        (byte >= 0x30 && byte <= 0x39) || (byte >= 0x61 && byte <= 0x66)
    }
}
