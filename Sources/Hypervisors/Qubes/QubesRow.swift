public import Devices

/// A line of what qubesd lists, or a payload: `HEAD key='value' _option='value'`, in printable ASCII.
///
/// Keys come in any order and with any number of blanks between them. Since Qubes OS 4.3 values are quoted, a quote in
/// one is written `\'` and a backslash stands for itself. Before, they were not: `HEAD key=value description=the rest`.
public struct QubesRow: Hashable, Sendable {
    /// What comes before the first key; empty for a payload.
    public let head: String
    /// The keys, options with their `_`, and values in the order in which they came.
    public let properties: [Property]

    /// A key and its value.
    public struct Property: Hashable, Sendable {
        /// The key; an option's begins with `_`.
        public let key: String
        /// The value, without its quotes.
        public let value: String

        /// Joins them.
        public init(_ key: String, _ value: String) {
            self.key = key
            self.value = value
        }
    }

    /// A row to send.
    public init(_ head: String, _ properties: [Property]) {
        self.head = head
        self.properties = properties
    }

    /// The longest line, in bytes.
    public static let maximumLength = 65_536

    /// Reads a line that begins with a head, or a payload that has none.
    public init(parsing line: some Collection<UInt8>, hasHead: Bool) throws(SyntaxError) {
        var scanner = QubesScanner(Array(line))
        guard scanner.bytes.count <= QubesRow.maximumLength, scanner.bytes.allSatisfy({ $0 >= 0x20 && $0 < 0x7f })
        else {
            throw QubesRow.fault(scanner.bytes, "printable ASCII, 64 KiB at most")
        }
        head = hasHead ? scanner.word() : ""
        guard !hasHead || !head.isEmpty else { throw QubesRow.fault(scanner.bytes, "a device first") }
        var properties: [Property] = []
        var isQuoted = false
        while let next = scanner.property() {
            switch next {
            case .quoted(let key, let value):
                properties.append(Property(key, value))
                isQuoted = true
            case .plain(let key, let value): properties.append(Property(key, value))
            case .word(let word):
                // Before 4.3 a value may hold blanks, and nothing tells but that no key follows.
                guard !isQuoted, let last = properties.popLast() else {
                    throw QubesRow.fault(scanner.bytes, "key='value', and not '\(printable(word, limit: 40))'")
                }
                properties.append(Property(last.key, "\(last.value) \(word)"))
            case .unfinished(let key): throw QubesRow.fault(scanner.bytes, "a quote at the end of \(key)")
            }
        }
        guard Set(properties.map(\.key)).count == properties.count else {
            throw QubesRow.fault(scanner.bytes, "each key once")
        }
        self.properties = properties
    }

    /// The value of a key, if it is there.
    public subscript(key: String) -> String? { properties.first { $0.key == key }?.value }

    /// The options, without their `_`.
    public var options: [Property] {
        properties.filter { $0.key.hasPrefix("_") }.map { Property(String($0.key.dropFirst()), $0.value) }
    }

    /// The row as qubesd 4.3 writes it and reads it.
    public var text: String {
        ((head.isEmpty ? [] : [head])
            + properties.map { "\($0.key)='\($0.value.replacing("'", with: "\\'"))'" }).joined(separator: " ")
    }

    private static func fault(_ bytes: [UInt8], _ expected: String) -> SyntaxError {
        SyntaxError("line of qubesd", printable(bytes, limit: 80), expected: expected)
    }
}

/// Takes a line apart from left to right.
private struct QubesScanner {
    enum Item {
        case quoted(String, String)
        case plain(String, String)
        case word(String)
        case unfinished(String)
    }

    let bytes: [UInt8]
    private var index = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    private static let (blank, quote, equals, backslash) = (
        UInt8(ascii: " "), UInt8(ascii: "'"), UInt8(ascii: "="), UInt8(ascii: "\\")
    )

    private var rest: ArraySlice<UInt8> { bytes[index...] }

    /// What there is up to the next blank.
    mutating func word() -> String {
        let word = rest.prefix { $0 != QubesScanner.blank }
        index += word.count
        return text(word)
    }

    mutating func property() -> Item? {
        index += rest.prefix { $0 == QubesScanner.blank }.count
        guard !rest.isEmpty else { return nil }
        let key = rest.prefix { $0 != QubesScanner.equals && $0 != QubesScanner.blank }
        guard !key.isEmpty, rest.dropFirst(key.count).first == QubesScanner.equals else { return .word(word()) }
        index += key.count + 1
        let name = text(key)
        guard rest.first == QubesScanner.quote else {
            guard name == "description" else { return .plain(name, word()) }
            let value = text(rest)
            index = bytes.count
            return .plain(name, value)
        }
        index += 1
        var value: [UInt8] = []
        while let byte = rest.first {
            index += 1
            if byte == QubesScanner.quote {
                if value.last == QubesScanner.backslash {
                    value[value.count - 1] = byte
                    continue
                }
                // A quote within a value is one that was not escaped: what follows cannot be trusted to be a key.
                guard rest.isEmpty || rest.first == QubesScanner.blank else { return .unfinished(name) }
                return .quoted(name, text(value))
            }
            value.append(byte)
        }
        return .unfinished(name)
    }

    private func text(_ bytes: some Sequence<UInt8>) -> String { String(decoding: Array(bytes), as: UTF8.self) }
}
