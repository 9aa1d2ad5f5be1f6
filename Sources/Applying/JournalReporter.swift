internal import Devices
public import Platform
public import Systemd

/// Tells outcomes to the journal, with fields, and to whoever reads standard error; each reader gets them once.
public struct JournalReporter: Reporter {
    private let journal: Journal
    private let manager: ServiceManager
    private let program: String
    private let threshold: JournalEntry.Priority

    /// Uses the host's own journal only when `root` is the host; `threshold` is the least severity shown on standard
    /// error.
    public init(
        program: String, root: Root, environment: [String: String], threshold: JournalEntry.Priority = .info
    ) {
        journal = Journal(root: root, environment: environment)
        manager = ServiceManager()
        self.program = program
        self.threshold = threshold
    }

    /// One entry, or one line.
    public func report(_ outcome: Outcome) {
        if journal.send(entry(of: outcome)), journal.receivesStandardError { return }
        if outcome.kind.severity <= threshold { writeStandardError("\(program): \(outcome.message)\n") }
    }

    /// `systemctl status` shows it.
    public func progress(_ text: String) { manager.status(text) }

    /// As above, and the start is not taken for one that hangs.
    public func progress(_ text: String, needing time: Duration) {
        manager.extendTimeout(by: time)
        manager.status(text)
    }

    private func entry(of outcome: Outcome) -> JournalEntry {
        var fields = [JournalEntry.Field(.target, outcome.target.description)]
        if let wanted = outcome.reference ?? outcome.assignment?.device {
            fields.append(JournalEntry.Field(.deviceClass, wanted.deviceClass.rawValue))
            fields.append(JournalEntry.Field(.source, wanted.source.description))
            if let port = outcome.device?.port ?? wanted.port {
                fields.append(JournalEntry.Field(.port, port.description))
            }
            if let identity = wanted.identity ?? outcome.device?.identities.first {
                fields.append(JournalEntry.Field(.identity, identity.description))
            }
        }
        if let reason = outcome.reason { fields.append(JournalEntry.Field(.reason, reason.rawValue)) }
        if let duration = outcome.duration {
            fields.append(JournalEntry.Field(.duration, "\(duration.microseconds)"))
        }
        if let waited = outcome.waited { fields.append(JournalEntry.Field(.waited, "\(waited.microseconds)")) }
        return JournalEntry(
            outcome.kind.severity, outcome.message, messageID: outcome.kind.messageID, fields: fields)
    }
}

extension Duration {
    /// Whole microseconds, as systemd counts.
    public var microseconds: Int64 { components.seconds * 1_000_000 + components.attoseconds / 1_000_000_000_000 }
}
