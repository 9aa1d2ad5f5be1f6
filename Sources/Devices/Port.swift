/// Where a device is plugged, in the form of its class: `sda1`, `2-1.4`, `00_1f.2`, `mic`.
public struct Port: Hashable, Sendable, Comparable, CustomStringConvertible {
    /// The port itself.
    public let description: String
    let isHexadecimal: Bool

    /// The longest port, in characters: with our prefix it has to fit into the 31 of a QEMU node name.
    public static let maximumLength = 25

    /// Reads a port of the class.
    public init(_ text: some StringProtocol, of deviceClass: DeviceClass) throws(SyntaxError) {
        let canonical = Port.canonical(String(text), of: deviceClass)
        let limit = deviceClass == .pci ? PCIPath.maximumLength : Port.maximumLength
        guard let canonical, canonical.utf8.count <= limit else {
            throw SyntaxError("\(deviceClass) port", text, expected: Port.expectation(of: deviceClass))
        }
        description = canonical
        isHexadecimal = deviceClass == .pci
    }

    /// What a port of the class looks like, for messages and help.
    public static func expectation(of deviceClass: DeviceClass) -> String {
        switch deviceClass {
        case .block: "a kernel name such as sda, sda1, nvme0n1p2, dm-3 or loop0 (a '/' in it written '_')"
        case .usb: "bus-port such as 2-1 or 2-1.4"
        case .pci:
            """
            [segment_]bus_device.function in hexadecimal, such as 00_1f.2 or 0000:00:1f.2, or a path of such from the root \
            bus, such as 00_1c.0-00_00.0
            """
        case .mic: "mic, or an ALSA capture device such as mic-0-0"
        }
    }

    /// Digits compare as numbers, so that `sda2` comes before `sda10`; in a PCI port as hexadecimal ones.
    public static func < (left: Port, right: Port) -> Bool {
        if left.isHexadecimal, right.isHexadecimal {
            // Of fixed width, with a segment in front unless it is 0.
            let (leftLength, rightLength) = (left.description.utf8.count, right.description.utf8.count)
            return leftLength == rightLength ? left.description < right.description : leftLength < rightLength
        }
        let (leftRuns, rightRuns) = (natural(left.description), natural(right.description))
        // `a01` and `a1` are the same numbers and still two ports.
        return leftRuns == rightRuns
            ? left.description < right.description : leftRuns.lexicographicallyPrecedes(rightRuns)
    }

    private static func canonical(_ text: String, of deviceClass: DeviceClass) -> String? {
        switch deviceClass {
        case .block: text.wholeMatchesBlock ? text : nil
        case .usb: canonicalUSB(text)
        case .pci: PCIPath.canonical(text, step: canonicalPCI)
        case .mic: text == "mic" || text.wholeMatchesCapture ? text : nil
        }
    }

    /// Qubes's database writes `2-1_4` for `2-1.4`. Buses and ports count from 1 and the kernel writes no leading zeros,
    /// so that another spelling would never be found.
    private static func canonicalUSB(_ text: String) -> String? {
        guard let dash = text.utf8.firstIndex(of: UInt8(ascii: "-")), isCount(text[..<dash]) else { return nil }
        let path = text[text.utf8.index(after: dash)...]
        let steps = path.utf8.split(omittingEmptySubsequences: false) {
            $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "_")
        }
        guard steps.count <= 7, steps.allSatisfy({ isCount(Substring($0)) }) else { return nil }
        guard path.utf8.contains(UInt8(ascii: "_")) else { return text }
        return "\(text[..<dash])-\(steps.map { String(Substring($0)) }.joined(separator: "."))"
    }

    /// `0000:00:1f.2`, `00:1f.2` and `0000_00_1f.2` are `00_1f.2`; a segment other than 0 stays. Segments made up by a
    /// driver (Intel VMD) have five digits or more. A device has 5 bits and a function 3.
    private static func canonicalPCI(_ text: String) -> String? {
        let fields = text.lowercased().split(omittingEmptySubsequences: false) { ":_.".contains($0) }
        let separators = text.filter { ":_.".contains($0) }
        guard separators.last == ".", !separators.dropLast().contains("."),
            let function = fields.last, function.utf8.count == 1, isHexadecimal(function),
            fields.dropLast().allSatisfy(isHexadecimal)
        else { return nil }
        let numbers = fields.compactMap { UInt32($0, radix: 16) }
        guard numbers.count == fields.count, (numbers.last ?? 8) < 8, (numbers.dropLast().last ?? 32) < 32 else {
            return nil
        }
        let widths = fields.map(\.utf8.count)
        if widths == [2, 2, 1] { return "\(fields[0])_\(fields[1]).\(function)" }
        guard let segment = fields.first, widths.dropFirst().elementsEqual([2, 2, 1]), widths[0] >= 4,
            widths[0] == 4 || !segment.hasPrefix("0")
        else { return nil }
        let short = "\(fields[1])_\(fields[2]).\(function)"
        return segment == "0000" ? short : "\(segment)_\(short)"
    }

    private static func isCount(_ text: Substring) -> Bool {
        isNumber(text) && text.utf8.first != UInt8(ascii: "0")
    }

    private static func isNumber(_ text: some StringProtocol) -> Bool {
        !text.isEmpty && text.utf8.count <= 3 && text.utf8.allSatisfy { $0 >= 0x30 && $0 <= 0x39 }
    }

    private static func isHexadecimal(_ text: some StringProtocol) -> Bool {
        !text.isEmpty
            && text.utf8.allSatisfy { ($0 >= 0x30 && $0 <= 0x39) || ($0 >= 0x61 && $0 <= 0x66) }
    }
}

extension String {
    /// A kernel name of a block device, `!` (a `/` under /dev) written `_`; a dot is in `pmem0.1`.
    fileprivate var wholeMatchesBlock: Bool {
        guard let first = utf8.first, first >= 0x61 && first <= 0x7a else { return false }
        return utf8.allSatisfy { byte in
            (byte >= 0x61 && byte <= 0x7a) || (byte >= 0x30 && byte <= 0x39) || byte == UInt8(ascii: "-")
                || byte == UInt8(ascii: "_") || byte == UInt8(ascii: ".")
        }
    }

    /// `mic-CARD-DEVICE`.
    fileprivate var wholeMatchesCapture: Bool {
        let fields = split(separator: "-", omittingEmptySubsequences: false)
        return fields.count == 3 && fields.first == "mic"
            && fields.dropFirst().allSatisfy {
                !$0.isEmpty && $0.utf8.count <= 3 && $0.allSatisfy { "0123456789".contains($0) }
            }
    }
}

private enum Run: Comparable {
    case number(Int)
    case text(String)
}

private func natural(_ text: String) -> [Run] {
    var runs: [Run] = []
    for character in text {
        if let digit = character.wholeNumberValue {
            if case .number(let value)? = runs.last, value < 1 << 40 {
                runs[runs.count - 1] = .number(value * 10 + digit)
            } else {
                runs.append(.number(digit))
            }
        } else if case .text(let value)? = runs.last {
            runs[runs.count - 1] = .text(value + String(character))
        } else {
            runs.append(.text(String(character)))
        }
    }
    return runs
}
