/// A text with the name of a VM in it, such as the path of its socket: `%i` stands for the name, `%%` for a percent
/// sign, as in systemd.unit(5).
public struct VMNamePattern: Hashable, Sendable {
    /// What comes before the name.
    public let before: String
    /// What comes after it.
    public let after: String

    /// What a pattern looks like, for messages.
    public static let expectation = "a text with %i (the name of the VM) in it once, and %% for a percent sign"

    /// Joins what is around the name.
    public init(before: String, after: String) {
        self.before = before
        self.after = after
    }

    /// Reads a pattern of printable text, 4096 characters at most.
    public init(_ text: some StringProtocol) throws(SyntaxError) {
        var parts = [""]
        var rest = Substring(text)
        while let percent = rest.firstIndex(of: "%") {
            parts[parts.count - 1] += rest[..<percent]
            rest = rest[rest.index(after: percent)...]
            switch rest.popFirst() {
            case "%": parts[parts.count - 1] += "%"
            case "i": parts.append("")
            default: parts = []
            }
            if parts.isEmpty { break }
        }
        if !parts.isEmpty { parts[parts.count - 1] += rest }
        guard printable(text, limit: 4096) == String(text), parts.count == 2, let before = parts.first,
            let after = parts.last
        else { throw SyntaxError("pattern", text, expected: VMNamePattern.expectation) }
        self.init(before: before, after: after)
    }

    /// The text for a VM.
    public func text(for vm: VMName) -> String { before + vm.description + after }
}
