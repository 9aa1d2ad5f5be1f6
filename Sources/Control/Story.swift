public import Applying
internal import Devices
public import Systemd

/// One run of one of our programs on one VM, as the journal tells it: a start of the VM, its end, or something that an
/// administrator did.
public struct Story: Hashable, Sendable {
    /// The VM.
    public let vm: String
    /// What happened, oldest first.
    public private(set) var events: [Event]
    /// What it belongs to: the run of a unit, or a process, in one boot of the host.
    let key: String

    /// One thing that happened.
    public struct Event: Hashable, Sendable {
        /// Microseconds since 1970.
        public let time: UInt64
        /// Which kind of thing.
        public let kind: Outcome.Kind
        /// What was said of it, made printable.
        public let message: String
        /// The fixed word of a failure.
        public let reason: String?
        /// How long it took to claim and attach the device, in microseconds.
        public let duration: UInt64?
        /// How long the device was waited for before, in microseconds.
        public let waited: UInt64?
    }

    /// Which fields of the journal a story is made from.
    public static let fields =
        ["MESSAGE", "MESSAGE_ID", "_BOOT_ID", "_PID", "INVOCATION_ID", "_SYSTEMD_INVOCATION_ID"]
        + [JournalEntry.Field.Name.target, .reason, .duration, .waited].map(\.rawValue)

    /// Which entries of the journal are ours.
    public static var messageIDs: [String] { Outcome.Kind.allCases.map(\.messageID.description) }

    /// Collects entries, given newest first, into stories, newest first; `isFull` once there are `limit` of them and an
    /// entry of one more has come.
    public struct Collector {
        /// The stories so far.
        public private(set) var stories: [Story] = []
        /// Whether no further entry can change anything.
        public private(set) var isFull = false
        private let limit: Int
        /// Entries of stories that run at the same time alternate: how many stories are kept open.
        private static let window = 64

        /// Keeps `limit` stories at most.
        public init(limit: Int) { self.limit = limit }

        /// Takes the next older entry.
        public mutating func take(_ entry: JournalReader.Entry) {
            guard let event = Event(entry), let vm = entry.values[JournalEntry.Field.Name.target.rawValue] else {
                return
            }
            let run =
                entry.values["_SYSTEMD_INVOCATION_ID"] ?? entry.values["INVOCATION_ID"] ?? entry.values["_PID"]
                ?? ""
            let key = "\(entry.values["_BOOT_ID"] ?? "") \(run) \(vm)"
            if let index = stories.indices.suffix(Collector.window).last(where: { stories[$0].key == key }),
                !stories[index].isComplete(before: event)
            {
                stories[index].events.insert(event, at: 0)
            } else if stories.count < limit {
                stories.append(Story(vm: printable(vm, limit: 64), events: [event], key: key))
            } else if stories.count >= limit {
                isFull = true
            }
        }
    }

    /// The end of a VM is a story of its own, though systemd has it in the same run of the unit.
    private func isComplete(before event: Event) -> Bool {
        guard let first = events.first else { return false }
        return Story.endings.contains(first.kind) && !Story.endings.contains(event.kind)
    }

    private static let endings: Set<Outcome.Kind> = [.released, .stillHeld, .givenBack]

    /// What it came to, in a word or two.
    public var verdict: String {
        switch events.last?.kind {
        case .started: "started"
        case .complete: "has its devices"
        case .startRefused: "REFUSED"
        case .endFailed: "COULD NOT BE ENDED"
        case .leftAlone: "lacks devices"
        case .released: "ended"
        case .stillHeld: "ended, and holds a device"
        case .failed: "failed"
        case .givenBack: "ended"
        case .waiting, .sourceStarted: "waits"
        case .attached, .alreadyAttached, .followed, .detached, .skipped, .caution, .settingIgnored, .reattached,
            nil:
            "changed"
        case .passedOver, .plugFailed, .lost: "lacks a device"
        }
    }

    /// Microseconds from the first to the last thing that happened.
    public var duration: UInt64 {
        guard let first = events.first?.time, let last = events.last?.time, last > first else { return 0 }
        return last - first
    }
}

extension Story.Event {
    /// Reads an entry of ours; nil for one that is not.
    init?(_ entry: JournalReader.Entry) {
        let id = entry.values["MESSAGE_ID"]
        guard let kind = Outcome.Kind.allCases.first(where: { $0.messageID.description == id }) else { return nil }
        self.init(
            time: entry.time, kind: kind, message: printable(entry.values["MESSAGE"] ?? "", limit: 2048),
            reason: entry.values[JournalEntry.Field.Name.reason.rawValue].map { printable($0, limit: 64) },
            duration: entry.values[JournalEntry.Field.Name.duration.rawValue].flatMap { UInt64($0) },
            waited: entry.values[JournalEntry.Field.Name.waited.rawValue].flatMap { UInt64($0) })
    }
}
