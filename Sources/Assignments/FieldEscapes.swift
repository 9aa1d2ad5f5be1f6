/// Octal escapes as in fstab(5), by which a field can hold what would end it: `\040` is a space, `\054` a comma.
enum FieldEscapes {
    /// Decodes every backslash with three octal digits; answers nil when a backslash stands otherwise, or for more than
    /// a byte.
    static func decoded(_ field: ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
        guard field.contains(backslash) else { return field }
        var result: [UInt8] = []
        result.reserveCapacity(field.count)
        var rest = field[...]
        while let byte = rest.popFirst() {
            guard byte == backslash else {
                result.append(byte)
                continue
            }
            var value = 0
            for _ in 0..<3 {
                guard let digit = rest.popFirst(), let octal = octalValue(digit) else { return nil }
                value = value * 8 + octal
            }
            guard let decoded = UInt8(exactly: value) else { return nil }
            result.append(decoded)
        }
        return result[...]
    }

    /// Escapes what would end a field, begin a comment or an escape, or not be seen, and each byte of `also`.
    static func encoded(_ text: String, also: [UInt8] = []) -> [UInt8] {
        var result: [UInt8] = []
        for byte in text.utf8 {
            if byte <= 0x20 || byte == 0x7f || byte == backslash || byte == UInt8(ascii: "#") || also.contains(byte)
            {
                result += [backslash] + [byte >> 6, (byte >> 3) & 7, byte & 7].map { UInt8(ascii: "0") + $0 }
            } else {
                result.append(byte)
            }
        }
        return result
    }

    static let backslash = UInt8(ascii: "\\")

    static func octalValue(_ byte: UInt8) -> Int? {
        byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "7") ? Int(byte - UInt8(ascii: "0")) : nil
    }
}

/// Whether a byte separates fields.
func isBlank(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }
