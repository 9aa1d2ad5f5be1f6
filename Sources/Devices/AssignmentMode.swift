/// What happens at a start of the VM when the device is not available.
public enum AssignmentMode: String, CaseIterable, Sendable, CustomStringConvertible {
    /// The VM does not start. What `--persistent` makes.
    case required
    /// The VM starts without it, and the journal has a warning.
    case autoAttach = "auto-attach"
    /// Qubes OS asks its user when the device appears; it is never attached by us, and the VM starts without it.
    case askToAttach = "ask-to-attach"

    /// The modes that our own table has: only Qubes OS has somebody to ask.
    public static let allCases = [AssignmentMode.required, .autoAttach]

    /// Reads the name of a mode as our own table has it.
    public init(parsing text: some StringProtocol) throws(SyntaxError) {
        guard let known = AssignmentMode(rawValue: String(text)), AssignmentMode.allCases.contains(known) else {
            throw SyntaxError("mode", text, expected: "required or auto-attach")
        }
        self = known
    }

    /// The name.
    public var description: String { rawValue }
}
