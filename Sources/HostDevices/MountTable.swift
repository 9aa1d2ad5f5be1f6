internal import Devices

/// The mounted file systems, as mountinfo of proc(5) lists them.
struct MountTable: Equatable {
    /// Each mount, in the kernel's order.
    let mounts: [Mount]

    /// One mount.
    struct Mount: Equatable {
        /// Of which device; anonymous (major 0) for btrfs and all that is not on a disk.
        let number: Device.Number
        /// Where it is mounted.
        let place: String
        /// From what, by the name that mount(8) was given.
        let source: String
    }

    /// Reads the table. A line that is not understood is left out: the claim by O_EXCL does not rest on this table,
    /// which is there to say who the user is.
    init(mountinfo: [UInt8]) {
        mounts = mountinfo.split(separator: UInt8(ascii: "\n")).compactMap { line in
            let fields = line.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
            // Optional fields stand between the sixth and a lone "-", then come type and source.
            guard let hyphen = fields.dropFirst(6).firstIndex(of: [UInt8(ascii: "-")]),
                let number = fields.element(2).flatMap({ Device.Number(text: $0) }),
                let place = fields.element(4), let source = fields.element(hyphen + 2)
            else { return nil }
            return Mount(number: number, place: unescaped(place), source: unescaped(source))
        }
    }
}

/// The paths of the block devices that are swap space, as /proc/swaps lists them.
func swapPaths(in swaps: [UInt8]) -> [String] {
    swaps.split(separator: UInt8(ascii: "\n")).dropFirst().compactMap { line in
        let fields = line.split { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }
        guard let path = fields.element(0),
            fields.element(1).map({ String(decoding: $0, as: UTF8.self) }) == "partition"
        else { return nil }
        return unescaped(path)
    }
}

/// Undoes the kernel's escapes: a backslash and three octal digits for space, tab, line break, backslash.
func unescaped(_ field: ArraySlice<UInt8>) -> String {
    var bytes: [UInt8] = []
    var rest = field
    while let byte = rest.popFirst() {
        let digits = rest.prefix(3)
        guard byte == UInt8(ascii: "\\"), digits.count == 3, digits.allSatisfy({ $0 >= 0x30 && $0 <= 0x37 }) else {
            bytes.append(byte)
            continue
        }
        bytes.append(UInt8(truncatingIfNeeded: digits.reduce(0) { $0 * 8 + Int($1 - 0x30) }))
        rest = rest.dropFirst(3)
    }
    return String(decoding: bytes, as: UTF8.self)
}

extension Device.Number {
    /// Reads `8:1`.
    init?(text: some Sequence<UInt8>) {
        let halves = String(decoding: Array(text), as: UTF8.self).split(
            separator: ":", omittingEmptySubsequences: false)
        guard halves.count == 2, let major = halves.first.flatMap({ UInt32($0) }),
            let minor = halves.last.flatMap({ UInt32($0) })
        else { return nil }
        self.init(major: major, minor: minor)
    }
}

extension Collection {
    /// The element at an offset, or nil past the end.
    func element(_ offset: Int) -> Element? { dropFirst(Swift.max(offset, 0)).first }
}
