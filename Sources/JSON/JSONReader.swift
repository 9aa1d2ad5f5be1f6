/// Reads JSON strictly: what RFC 8259 does not allow is an error, and so is what comes after the value. Whatever the
/// input, it ends in time and space that grow with the input's length alone.
struct JSONReader {
    /// Where and why the input is no JSON.
    struct Failure: Error, Equatable {
        /// Bytes before it.
        let offset: Int
        let reason: String
    }

    /// How deep values may be nested.
    static let depthLimit = 128

    private var rest: ArraySlice<UInt8>
    private var depth = 0

    private init(_ bytes: [UInt8]) { rest = bytes[...] }

    /// Reads a whole text.
    static func read(_ bytes: [UInt8]) throws(Failure) -> JSONValue {
        var reader = JSONReader(bytes)
        let value = try reader.value()
        reader.skipSpace()
        guard reader.rest.isEmpty else { throw reader.failure("something follows the value") }
        return value
    }

    private mutating func value() throws(Failure) -> JSONValue {
        skipSpace()
        switch rest.first {
        case UInt8(ascii: "{"): return try nested { (reader) throws(Failure) in .object(try reader.members()) }
        case UInt8(ascii: "["): return try nested { (reader) throws(Failure) in .array(try reader.elements()) }
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        default: return .number(try number())
        }
    }

    private mutating func nested(
        _ read: (inout JSONReader) throws(Failure) -> JSONValue
    ) throws(Failure) -> JSONValue {
        guard depth < JSONReader.depthLimit else { throw failure("it is nested too deep") }
        depth += 1
        rest = rest.dropFirst()
        let value = try read(&self)
        depth -= 1
        return value
    }

    private mutating func members() throws(Failure) -> [JSONValue.Member] {
        var members: [JSONValue.Member] = []
        skipSpace()
        if skip(UInt8(ascii: "}")) { return members }
        while true {
            skipSpace()
            guard rest.first == UInt8(ascii: "\"") else { throw failure("a name was expected") }
            let name = try string()
            skipSpace()
            guard skip(UInt8(ascii: ":")) else { throw failure("':' was expected") }
            members.append(JSONValue.Member(name, try value()))
            skipSpace()
            if skip(UInt8(ascii: "}")) { return members }
            guard skip(UInt8(ascii: ",")) else { throw failure("',' or '}' was expected") }
        }
    }

    private mutating func elements() throws(Failure) -> [JSONValue] {
        var elements: [JSONValue] = []
        skipSpace()
        if skip(UInt8(ascii: "]")) { return elements }
        while true {
            elements.append(try value())
            skipSpace()
            if skip(UInt8(ascii: "]")) { return elements }
            guard skip(UInt8(ascii: ",")) else { throw failure("',' or ']' was expected") }
        }
    }

    private mutating func word(_ word: StaticString, _ value: JSONValue) throws(Failure) -> JSONValue {
        let bytes = Array(word.description.utf8)
        guard rest.starts(with: bytes) else { throw failure("a value was expected") }
        rest = rest.dropFirst(bytes.count)
        return value
    }

    // MARK: Numbers

    private mutating func number() throws(Failure) -> String {
        let start = rest
        _ = skip(UInt8(ascii: "-"))
        if !skip(UInt8(ascii: "0")) { try digits() }
        if skip(UInt8(ascii: ".")) { try digits() }
        if skip(UInt8(ascii: "e")) || skip(UInt8(ascii: "E")) {
            if !skip(UInt8(ascii: "+")) { _ = skip(UInt8(ascii: "-")) }
            try digits()
        }
        return String(decoding: start.prefix(start.count - rest.count), as: UTF8.self)
    }

    private mutating func digits() throws(Failure) {
        let digits = rest.prefix { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }
        guard !digits.isEmpty else { throw failure("a value was expected") }
        rest = rest.dropFirst(digits.count)
    }

    // MARK: Texts

    private mutating func string() throws(Failure) -> String {
        rest = rest.dropFirst()
        var result: [UInt8] = []
        while true {
            let plain = rest.prefix { $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") && $0 >= 0x20 }
            rest = rest.dropFirst(plain.count)
            if skip(UInt8(ascii: "\"")) {
                // Most have no escapes.
                let bytes = result.isEmpty ? plain : (result + plain)[...]
                guard let text = String(validating: bytes, as: UTF8.self) else { throw failure("it is not UTF-8") }
                return text
            }
            result += plain
            guard skip(UInt8(ascii: "\\")) else { throw failure("a text does not end") }
            result += Array(String(Character(try escape())).utf8)
        }
    }

    private mutating func escape() throws(Failure) -> Unicode.Scalar {
        guard let byte = rest.popFirst() else { throw failure("an escape does not end") }
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(byte)
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{C}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"): return try scalar()
        default: throw failure("an escape is not one of JSON's")
        }
    }

    /// The digits after `\u`; of what is beyond 16 bits there are two halves.
    private mutating func scalar() throws(Failure) -> Unicode.Scalar {
        let high = try hexadecimal()
        if let scalar = Unicode.Scalar(high) { return scalar }
        guard high < 0xdc00, skip(UInt8(ascii: "\\")), skip(UInt8(ascii: "u")) else {
            throw failure("half a character")
        }
        let low = try hexadecimal()
        guard (0xdc00..<0xe000).contains(low),
            let scalar = Unicode.Scalar(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00))
        else { throw failure("half a character") }
        return scalar
    }

    private mutating func hexadecimal() throws(Failure) -> UInt32 {
        let digits = rest.prefix(4)
        var value: UInt32 = 0
        for digit in digits {
            guard let number = Character(Unicode.Scalar(digit)).hexDigitValue else {
                throw failure("four hexadecimal digits were expected")
            }
            value = value << 4 | UInt32(number)
        }
        guard digits.count == 4 else { throw failure("four hexadecimal digits were expected") }
        rest = rest.dropFirst(4)
        return value
    }

    // MARK: Bytes

    private mutating func skipSpace() {
        while let byte = rest.first, byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09 {
            rest = rest.dropFirst()
        }
    }

    private mutating func skip(_ byte: UInt8) -> Bool {
        guard rest.first == byte else { return false }
        rest = rest.dropFirst()
        return true
    }

    private func failure(_ reason: String) -> Failure { Failure(offset: rest.startIndex, reason: reason) }
}
