/// A text that is not what it should be: what it was meant for, what it is, and what was expected.
public struct SyntaxError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What the text was meant to be ("VM name").
    public let subject: String
    /// The text, made safe to print.
    public let found: String
    /// What would have been right.
    public let expected: String

    /// `found` may come from anywhere; it is made printable and cut.
    public init(_ subject: String, _ found: some StringProtocol, expected: String) {
        self.subject = subject
        self.found = printable(found, limit: 80)
        self.expected = expected
    }

    /// "'x y' is not a VM name: expected …".
    public var description: String { "'\(found)' is not a valid \(subject): expected \(expected)" }
}
