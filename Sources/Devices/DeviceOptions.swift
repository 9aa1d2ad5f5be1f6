/// The options of an assignment or attachment, checked against what its class knows.
public struct DeviceOptions: Hashable, Sendable {
    /// Each option in the order in which it was given, booleans as `yes` or `no`.
    public let entries: [Entry]

    /// One option.
    public struct Entry: Hashable, Sendable {
        /// The name, of the class's list.
        public let key: String
        /// The checked value.
        public let value: String
    }

    /// No options.
    public static let none = DeviceOptions(entries: [])

    private init(entries: [Entry]) { self.entries = entries }

    /// Checks options given as `key=value`, in order.
    public init(
        _ pairs: [(key: String, value: String)], of deviceClass: DeviceClass
    ) throws(SyntaxError) {
        let known = OptionRule.rules(of: deviceClass)
        var entries: [Entry] = []
        for (key, value) in pairs {
            guard let rule = known.first(where: { $0.key == key }) else {
                throw SyntaxError(
                    "option of a \(deviceClass) device", key,
                    expected: "one of \(known.map(\.key).joined(separator: ", "))")
            }
            guard !entries.contains(where: { $0.key == key }) else {
                throw SyntaxError("set of options", key, expected: "each option once")
            }
            entries.append(Entry(key: key, value: try rule.canonical(value)))
        }
        self.entries = entries
    }

    /// Reads one `key=value`.
    public static func pair(parsing text: some StringProtocol) throws(SyntaxError) -> (key: String, value: String) {
        // Of a type that is known, and by bytes, for the sake of long tables.
        let text = String(text)
        guard let equals = text.utf8.firstIndex(of: UInt8(ascii: "=")), equals > text.startIndex else {
            throw SyntaxError("option", text, expected: "NAME=VALUE, such as read-only=yes")
        }
        return (String(text[..<equals]), String(text[text.utf8.index(after: equals)...]))
    }

    /// The value of an option, if it was given.
    public subscript(key: String) -> String? { entries.first { $0.key == key }?.value }

    /// The value of a boolean option, if it was given.
    public func flag(_ key: String) -> Bool? { self[key].map { $0 == "yes" } }

    /// Whether the guest gets a disk that it cannot write; nil when the device decides.
    public var readOnly: Bool? { flag("read-only") }
    /// Whether the guest sees an optical drive.
    public var isCDROM: Bool { self["devtype"] == "cdrom" }
    /// Whether a device that has moved to another port is followed there.
    public var follow: Bool { flag("follow") ?? true }
    /// How long a start waits for the device to appear; nil when the host decides.
    public var timeout: Duration? { self["timeout"].flatMap { TimeSpan($0)?.duration } }

    /// `read-only=yes, devtype=cdrom`, as `list` shows it.
    public var summary: String { entries.map { "\($0.key)=\($0.value)" }.joined(separator: ", ") }
}
