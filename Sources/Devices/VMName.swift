/// The name of a virtual machine; `dom0` is the host itself.
///
/// A name goes into paths, unit names and XML, so there is one rule for all of them: a letter or digit, then up to 62
/// letters, digits, `.`, `_` or `-`.
public struct VMName: Hashable, Sendable, Comparable, CustomStringConvertible {
    /// The name itself.
    public let description: String

    /// The host.
    public static let host = VMName(unchecked: "dom0")

    /// The longest name, in characters.
    public static let maximumLength = 63

    /// Whether this is the host itself.
    public var isHost: Bool { self == .host }

    /// Reads a name; `host` is another spelling of `dom0`.
    public init(_ text: some StringProtocol) throws(SyntaxError) {
        // Of a type that is known: a table has thousands of names, and what is generic is several times slower.
        let text = String(text)
        let bytes = text.utf8
        guard let first = bytes.first, VMName.mayStart(first), bytes.allSatisfy(VMName.mayContain),
            bytes.count <= VMName.maximumLength
        else {
            throw SyntaxError(
                "VM name", text,
                expected: "a letter or digit, then at most 62 letters, digits, '.', '_' or '-'")
        }
        self.init(unchecked: text == "host" ? "dom0" : text)
    }

    private init(unchecked text: String) { description = text }

    /// Whether a byte may stand in a name.
    public static func mayContain(_ byte: UInt8) -> Bool {
        mayStart(byte) || byte == UInt8(ascii: ".") || byte == UInt8(ascii: "_") || byte == UInt8(ascii: "-")
    }

    private static func mayStart(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: false
        }
    }

    /// By character.
    public static func < (left: VMName, right: VMName) -> Bool { left.description < right.description }
}
