/// Reads XML piece by piece, as much of it as libvirt writes: elements, attributes, text, comments, CDATA, the five
/// entities and characters by number. A document type, and with it every other entity, is refused. Whatever the input,
/// it ends with pieces or an error, in time and space that grow with the input's length alone.
struct XMLReader {
    /// A piece of the document.
    enum Piece: Equatable {
        case start(name: String, attributes: [XMLElement.Attribute])
        case end(name: String)
        case text(String)
    }

    /// Where and why the input is not XML that we take.
    struct Failure: Error, Equatable, CustomStringConvertible {
        /// Bytes before it.
        let offset: Int
        let reason: String
        var description: String { "no XML that is understood, at byte \(offset): \(reason)" }
    }

    private let length: Int
    private var rest: ArraySlice<UInt8>
    /// The end that an element written `<a/>` still owes.
    private var owed: String?

    /// How many bytes were read.
    var offset: Int { length - rest.count }

    init(_ bytes: [UInt8]) {
        length = bytes.count
        rest = bytes[...]
        if rest.starts(with: [0xEF, 0xBB, 0xBF]) { rest = rest.dropFirst(3) }
    }

    /// The next piece; nil at the end of the input.
    mutating func next() throws(Failure) -> Piece? {
        if let name = owed {
            owed = nil
            return .end(name: name)
        }
        while let byte = rest.first {
            if byte != UInt8(ascii: "<") { return .text(try text()) }
            if skip("<!--") {
                try skip(through: "-->")
            } else if skip("<![CDATA[") {
                return .text(try string(until: "]]>"))
            } else if skip("<?") {
                try skip(through: "?>")
            } else if skip("<!") {
                throw failure("a document type is not taken")
            } else if skip("</") {
                let name = try name()
                skipSpace()
                try expect(">")
                return .end(name: name)
            } else {
                try expect("<")
                return try element()
            }
        }
        return nil
    }

    private mutating func element() throws(Failure) -> Piece {
        let name = try name()
        var attributes: [XMLElement.Attribute] = []
        while true {
            let hadSpace = skipSpace()
            if skip("/>") {
                owed = name
                break
            }
            if skip(">") { break }
            guard hadSpace else { throw failure("'>' or a blank was expected") }
            let attribute = try self.name()
            skipSpace()
            try expect("=")
            skipSpace()
            guard attributes.count < 64, !attributes.contains(where: { $0.name == attribute }) else {
                throw failure("too many attributes, or one of them twice")
            }
            attributes.append(XMLElement.Attribute(name: attribute, value: try value()))
        }
        return .start(name: name, attributes: attributes)
    }

    private mutating func value() throws(Failure) -> String {
        guard let quote = rest.first, quote == UInt8(ascii: "'") || quote == UInt8(ascii: "\"") else {
            throw failure("a quote was expected")
        }
        rest = rest.dropFirst()
        let raw = rest.prefix { $0 != quote && $0 != UInt8(ascii: "<") }
        guard rest.dropFirst(raw.count).first == quote else { throw failure("an attribute does not end") }
        let value = try decoded(raw)
        rest = rest.dropFirst(raw.count + 1)
        return value
    }

    private mutating func text() throws(Failure) -> String {
        let raw = rest.prefix { $0 != UInt8(ascii: "<") }
        let text = try decoded(raw)
        rest = rest.dropFirst(raw.count)
        return text
    }

    private func decoded(_ raw: ArraySlice<UInt8>) throws(Failure) -> String {
        var result: [UInt8] = []
        var raw = raw
        while let byte = raw.popFirst() {
            guard byte == UInt8(ascii: "&") else {
                result.append(byte)
                continue
            }
            // The longest is &#x10FFFF;
            let entity = raw.prefix(8).prefix { $0 != UInt8(ascii: ";") }
            guard raw.dropFirst(entity.count).first == UInt8(ascii: ";"),
                let scalar = XMLReader.scalar(String(decoding: entity, as: UTF8.self))
            else { throw failure("an entity is not one of the five") }
            result += Array(String(Character(scalar)).utf8)
            raw = raw.dropFirst(entity.count + 1)
        }
        return try string(result[...])
    }

    private static func scalar(_ entity: String) -> Unicode.Scalar? {
        switch entity {
        case "amp": return "&"
        case "lt": return "<"
        case "gt": return ">"
        case "apos": return "'"
        case "quot": return "\""
        default: break
        }
        let number: UInt32? =
            if entity.hasPrefix("#x") {
                UInt32(entity.dropFirst(2), radix: 16)
            } else if entity.hasPrefix("#") {
                UInt32(entity.dropFirst())
            } else {
                nil
            }
        return number.flatMap(Unicode.Scalar.init).flatMap { XMLElement.isAllowed($0) ? $0 : nil }
    }

    private mutating func name() throws(Failure) -> String {
        let raw = rest.prefix(256).prefix(while: XMLReader.isOfName)
        guard let first = raw.first, !(0x2D...0x39).contains(first), raw.count < 256 else {
            throw failure("a name was expected")
        }
        let name = try string(raw)
        rest = rest.dropFirst(raw.count)
        return name
    }

    /// Letters, digits, `.`, `-`, `_`, `:` and what is not ASCII.
    private static func isOfName(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"),
            UInt8(ascii: ":"), 0x80...0xFF:
            true
        default: false
        }
    }

    @discardableResult
    private mutating func skipSpace() -> Bool {
        let space = rest.prefix { $0 == 0x20 || $0 == 0x9 || $0 == 0xA || $0 == 0xD }
        rest = rest.dropFirst(space.count)
        return !space.isEmpty
    }

    private mutating func skip(_ text: StaticString) -> Bool {
        let bytes = Array(text.description.utf8)
        guard rest.starts(with: bytes) else { return false }
        rest = rest.dropFirst(bytes.count)
        return true
    }

    private mutating func skip(through end: StaticString) throws(Failure) { _ = try string(until: end) }

    private mutating func string(until end: StaticString) throws(Failure) -> String {
        let mark = Array(end.description.utf8)
        var position = rest
        while !position.isEmpty {
            if position.starts(with: mark) {
                let text = try string(rest[rest.startIndex..<position.startIndex])
                rest = position.dropFirst(mark.count)
                return text
            }
            position = position.dropFirst()
        }
        throw failure("'\(end)' was expected")
    }

    private mutating func expect(_ text: StaticString) throws(Failure) {
        guard skip(text) else { throw failure("'\(text)' was expected") }
    }

    private func string(_ bytes: ArraySlice<UInt8>) throws(Failure) -> String {
        guard let text = String(validating: bytes, as: UTF8.self),
            text.unicodeScalars.allSatisfy(XMLElement.isAllowed)
        else { throw failure("a character that XML does not have") }
        return text
    }

    func failure(_ reason: String) -> Failure { Failure(offset: offset, reason: reason) }
}

extension XMLElement {
    /// How deep elements may be nested, and how many there may be in all.
    static let depthLimit = 64
    static let countLimit = 65_536

    /// Reads a whole document.
    init(parsing bytes: [UInt8]) throws(XMLReader.Failure) {
        var reader = XMLReader(bytes)
        var open: [(name: String, attributes: [Attribute], children: [XMLElement], text: String)] = []
        var root: XMLElement?
        var count = 0
        while let piece = try reader.next() {
            switch piece {
            case .start(let name, let attributes):
                count += 1
                guard root == nil, open.count < XMLElement.depthLimit, count <= XMLElement.countLimit else {
                    throw reader.failure(root == nil ? "too many elements" : "a second document")
                }
                open.append((name, attributes, [], ""))
            case .text(let text):
                if open.isEmpty {
                    guard text.allSatisfy(\.isWhitespace) else {
                        throw reader.failure("text outside of all elements")
                    }
                } else {
                    open[open.count - 1].text += text
                }
            case .end(let name):
                guard let last = open.popLast(), last.name == name else {
                    throw reader.failure("'\(name)' ends, and another is open")
                }
                let element = XMLElement(
                    name: last.name, attributes: last.attributes, children: last.children, text: last.text)
                if open.isEmpty { root = element } else { open[open.count - 1].children.append(element) }
            }
        }
        guard let root, open.isEmpty else { throw reader.failure("the document does not end") }
        self = root
    }
}
