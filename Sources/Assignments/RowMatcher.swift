internal import Devices

/// Tells from the bytes of a line whose row it is, without decoding it.
///
/// A row is a VM's when its first field is the VM's name. A damaged first field has bytes that no name can have: it
/// stands for the name that is left without them, and for the one before the first of them (the blank after it may be
/// what was damaged). So damage makes a row a problem of its VM; it never makes the VM lose a row without a word. A row
/// that names no VM at all may be anybody's, and is a problem of all.
struct RowMatcher {
    private let spellings: [[UInt8]]
    private let firstBytes: SIMD2<UInt8>

    /// A matcher of the rows of `vm`.
    init(_ vm: VMName) {
        spellings = (vm.isHost ? ["dom0", "host"] : [vm.description]).map { Array($0.utf8) }
        firstBytes = SIMD2(spellings.first?.first ?? 0, spellings.last?.first ?? 0)
    }

    /// Whether the row whose first field begins at `start` of the line concerns the VM.
    func concerns(_ line: Span<UInt8>, from start: Int) -> Bool {
        // Most rows are told apart by one byte.
        if start < line.count, line[start] != firstBytes.x, line[start] != firstBytes.y,
            RowMatcher.isOfName(line[start], first: true)
        {
            return false
        }
        for spelling in spellings where matches(spelling, line, from: start) { return true }
        return false
    }

    /// Where the first field of a line begins; nil for a comment and an empty line. A line of which only the beginning
    /// is looked at may have its row after that.
    static func rowStart(of line: Span<UInt8>, isWhole: Bool) -> Int? {
        var index = 0
        while index < line.count, isBlank(line[index]) { index += 1 }
        guard index < line.count else { return isWhole ? nil : index }
        return line[index] == UInt8(ascii: "#") ? nil : index
    }

    /// The name that is left of a first field without the bytes that no name can have.
    static func name(in line: Span<UInt8>, from start: Int) -> String? {
        var bytes: [UInt8] = []
        var index = start
        while let byte = nextByte(of: line, at: &index) {
            if isOfName(byte, first: bytes.isEmpty) { bytes.append(byte) }
        }
        return bytes.isEmpty ? nil : printable(bytes, limit: VMName.maximumLength)
    }

    private func matches(_ name: [UInt8], _ line: Span<UInt8>, from start: Int) -> Bool {
        let expected = name.span
        var index = start
        var matched = 0
        var isWholeBeforeDamage = false
        while let byte = RowMatcher.nextByte(of: line, at: &index) {
            if RowMatcher.isOfName(byte, first: matched == 0) {
                guard matched < expected.count, expected[matched] == byte else { return isWholeBeforeDamage }
                matched += 1
            } else if matched == expected.count {
                isWholeBeforeDamage = true
            }
        }
        return isWholeBeforeDamage || matched == expected.count || matched == 0
    }

    /// The next byte of the field, an escape decoded; nil at its end.
    @inline(__always)
    private static func nextByte(of line: Span<UInt8>, at index: inout Int) -> UInt8? {
        guard index < line.count, !isBlank(line[index]) else { return nil }
        let byte = line[index]
        index += 1
        guard byte == FieldEscapes.backslash, line.count - index >= 3 else { return byte }
        guard let high = FieldEscapes.octalValue(line[index]), high < 4,
            let middle = FieldEscapes.octalValue(line[index + 1]),
            let low = FieldEscapes.octalValue(line[index + 2])
        else { return byte }
        index += 3
        return UInt8(truncatingIfNeeded: high << 6 | middle << 3 | low)
    }

    /// A name begins with a letter or digit.
    @inline(__always)
    private static func isOfName(_ byte: UInt8, first: Bool) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        case UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"): !first
        default: false
        }
    }
}
