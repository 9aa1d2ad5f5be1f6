/// What happens at a start of the VM when the device is not available.
public enum AssignmentMode: String, CaseIterable, Sendable, CustomStringConvertible {
    /// The VM does not start. What `--persistent` makes.
    case required
    /// The VM starts without it, and the journal has a warning.
    case autoAttach = "auto-attach"

    /// Reads the name of a mode.
    public init(parsing text: some StringProtocol) throws(SyntaxError) {
        guard let known = AssignmentMode(rawValue: String(text)) else {
            throw SyntaxError("mode", text, expected: "required or auto-attach")
        }
        self = known
    }

    /// The name.
    public var description: String { rawValue }
}
