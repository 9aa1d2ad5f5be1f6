internal import Applying
public import Devices
public import Platform
internal import Systemd

/// Which part of the journal is told.
public struct LogRange: Sendable {
    /// The VM; nil for all.
    public var vm: VMName?
    /// Not before; nil for from the beginning.
    public var since: TimePoint?
    /// Whether only this boot of the host counts.
    public var isThisBootOnly: Bool
    /// How many stories at most, the newest.
    public var limit: Int

    /// Joins them.
    public init(vm: VMName?, since: TimePoint?, isThisBootOnly: Bool, limit: Int) {
        self.vm = vm
        self.since = since
        self.isThisBootOnly = isThisBootOnly
        self.limit = limit
    }
}

/// What the journal tells of the starts of VMs, oldest first.
public func stories(_ range: LogRange, root: Root) throws(Failure) -> [Story] {
    do {
        let reader = try JournalReader(root: root)
        var matches = [(field: "MESSAGE_ID", values: Story.messageIDs)]
        if let vm = range.vm { matches.append((JournalEntry.Field.Name.target.rawValue, [vm.description])) }
        if range.isThisBootOnly { matches.append(("_BOOT_ID", [try currentBootID()])) }
        var collector = Story.Collector(limit: range.limit)
        try reader.forEach(matching: matches, fields: Story.fields) { entry in
            if let since = range.since, entry.time < since.microseconds { return false }
            collector.take(entry)
            return !collector.isFull
        }
        return collector.stories.reversed()
    } catch {
        throw Failure(
            "\(error)", remedy: "Root and the members of group systemd-journal may read it.",
            status: error.isPermission ? .permission : .unavailable)
    }
}

/// The stories in the form that is asked for.
public func render(_ stories: [Story], _ form: OutputForm) -> String {
    if form != .off { return json(stories.map(StoryJSON.init), form) }
    return stories.map { story in
        let time = TimePoint(microseconds: story.events.first?.time ?? 0).description
        let took = milliseconds(story.duration)
        let prefix = "VM \(story.vm): "
        let lines = story.events.map { event in
            let text =
                event.message.hasPrefix(prefix) ? String(event.message.dropFirst(prefix.count)) : event.message
            return "    \(event.kind.severity <= .error ? "! " : "  ")\(text)\(milliseconds(event.duration ?? 0))\n"
        }
        return "\(time)  \(story.vm)  \(story.verdict)\(took)\n" + lines.joined()
    }.joined()
}

/// " (12 ms)"; nothing when it was less than half of one.
private func milliseconds(_ microseconds: UInt64) -> String {
    let milliseconds = microseconds / 1000 + (microseconds % 1000 >= 500 ? 1 : 0)
    return milliseconds == 0 ? "" : " (\(milliseconds) ms)"
}

private struct StoryJSON: Encodable {
    let vm: String
    let verdict: String
    let microseconds: UInt64
    let events: [EventJSON]

    struct EventJSON: Encodable {
        let realtime: UInt64
        let outcome: String
        let message: String
        let reason: String?
        let microseconds: UInt64?
        let waitedMicroseconds: UInt64?
    }

    init(_ story: Story) {
        vm = story.vm
        verdict = story.verdict
        microseconds = story.duration
        events = story.events.map {
            EventJSON(
                realtime: $0.time, outcome: $0.kind.rawValue, message: $0.message, reason: $0.reason,
                microseconds: $0.duration, waitedMicroseconds: $0.waited)
        }
    }
}
