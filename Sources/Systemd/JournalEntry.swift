/// One entry of the journal.
public struct JournalEntry: Hashable, Sendable {
    /// How much it matters.
    public let priority: Priority
    /// The text that `journalctl` shows.
    public let message: String
    /// Which kind of event it is, for the message catalog.
    public let messageID: MessageID?
    /// What else is known, in order.
    public let fields: [Field]

    /// The levels of syslog(3).
    public enum Priority: Int, Comparable, Sendable {
        case emergency, alert, critical, error, warning, notice, info, debug

        /// By number: the smaller, the worse.
        public static func < (left: Priority, right: Priority) -> Bool { left.rawValue < right.rawValue }
    }

    /// One of our own fields with its value, which may have line breaks.
    public struct Field: Hashable, Sendable {
        /// Which field.
        public let name: Name
        /// Any text.
        public let value: String

        /// Joins both.
        public init(_ name: Name, _ value: String) {
            self.name = name
            self.value = value
        }

        /// Our fields. journald drops an ill-formed name without a word, so there are no others.
        public enum Name: String, CaseIterable, Sendable {
            /// The VM that gets the device.
            case target = "VMDEV_TARGET"
            /// The device class.
            case deviceClass = "VMDEV_CLASS"
            /// The VM that exposes the device.
            case source = "VMDEV_SOURCE"
            /// Where the device is plugged.
            case port = "VMDEV_PORT"
            /// Which device it is.
            case identity = "VMDEV_IDENTITY"
            /// A fixed word for what went wrong.
            case reason = "VMDEV_REASON"
            /// How long it took to claim the device and to attach it, in microseconds.
            case duration = "VMDEV_DURATION_USEC"
            /// How long the device was waited for before, in microseconds.
            case waited = "VMDEV_WAITED_USEC"
            /// The unit that we are a process of; `journalctl -u` looks here too (systemd.journal-fields(7)).
            case unit = "OBJECT_SYSTEMD_UNIT"
            /// The run of that unit.
            case invocation = "INVOCATION_ID"
        }
    }

    /// Describes an event.
    public init(_ priority: Priority, _ message: String, messageID: MessageID? = nil, fields: [Field] = []) {
        self.priority = priority
        self.message = message
        self.messageID = messageID
        self.fields = fields
    }

    /// The same with more fields.
    func with(_ more: [Field]) -> JournalEntry {
        JournalEntry(priority, message, messageID: messageID, fields: fields + more)
    }

    /// What goes into the journal, `NAME=value` each.
    var assignments: [String] {
        ["MESSAGE=\(message)", "PRIORITY=\(priority.rawValue)"]
            + (messageID.map { ["MESSAGE_ID=\($0)"] } ?? [])
            + fields.map { "\($0.name.rawValue)=\($0.value)" }
    }
}

/// A kind of event, as the message catalog knows it: 128 random bits.
public struct MessageID: Hashable, Sendable, CustomStringConvertible {
    private let high: UInt64
    private let low: UInt64

    /// Joins the first and the last 16 of the 32 hexadecimal digits.
    public init(_ high: UInt64, _ low: UInt64) {
        self.high = high
        self.low = low
    }

    /// 32 lower-case hexadecimal digits.
    public var description: String { digits(high) + digits(low) }

    private func digits(_ half: UInt64) -> String {
        let text = String(half, radix: 16)
        return String(repeating: "0", count: 16 - text.utf8.count) + text
    }
}
