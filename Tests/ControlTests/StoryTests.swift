import Applying
import Control
import Systemd
import Testing

@Suite("What the journal tells of a VM's starts")
struct StoryTests {
    private func entry(
        _ time: UInt64, _ kind: Outcome.Kind, _ text: String = "", vm: String = "work", run: String = "1"
    ) -> JournalReader.Entry {
        JournalReader.Entry(
            time: time,
            values: [
                "MESSAGE": text, "MESSAGE_ID": kind.messageID.description, "VMDEV_TARGET": vm, "_BOOT_ID": "b",
                "_SYSTEMD_INVOCATION_ID": run,
            ])
    }

    /// Entries, oldest first, as stories, oldest first.
    private func stories(_ entries: [JournalReader.Entry], limit: Int = 10) -> [Story] {
        var collector = Story.Collector(limit: limit)
        for entry in entries.reversed() where !collector.isFull { collector.take(entry) }
        return collector.stories.reversed()
    }

    @Test("Each start is one story, with what was said of each device, how it ended and how long it took")
    func starts() {
        let found = stories([
            entry(1_000_000, .attached, "VM work: block device dom0:sda is attached"),
            entry(1_012_000, .started, "VM work: starts with 1 device"), entry(2_000_000, .released, run: "1"),
            entry(3_000_000, .failed, "VM work: block device dom0:sda is not there", run: "2"),
            entry(3_000_100, .startRefused, "VM work: was not started", run: "2"),
        ])
        #expect(found.map(\.verdict) == ["started", "ended", "REFUSED"])
        #expect(found.map(\.duration) == [12_000, 0, 100])
        let lines = render(found, .off).split(separator: "\n").map(String.init)
        #expect(lines.count == 8)
        #expect(lines[0].hasSuffix("  work  started (12 ms)"))
        #expect(lines[1] == "      block device dom0:sda is attached")
        #expect(lines[6] == "    ! block device dom0:sda is not there")
    }

    @Test("Of each device it is told how long it took, and for programs how long it was waited for")
    func durations() {
        let device = JournalReader.Entry(
            time: 1_000_000,
            values: [
                "MESSAGE": "VM work: block device dom0:sda is attached (waited 4 s for it)",
                "MESSAGE_ID": Outcome.Kind.attached.messageID.description, "VMDEV_TARGET": "work",
                "VMDEV_DURATION_USEC": "12600", "VMDEV_WAITED_USEC": "4000123", "_PID": "1",
            ])
        let found = stories([device])
        #expect(render(found, .off).hasSuffix("block device dom0:sda is attached (waited 4 s for it) (13 ms)\n"))
        let json = render(found, .short)
        #expect(json.contains(#""microseconds":12600"#) && json.contains(#""waitedMicroseconds":4000123"#))
    }

    @Test("VMs that start at the same time do not get mixed up")
    func parallel() {
        let found = stories([
            entry(1, .attached, vm: "a", run: "1"), entry(2, .attached, vm: "b", run: "2"),
            entry(3, .started, vm: "a", run: "1"), entry(4, .started, vm: "b", run: "2"),
        ])
        #expect(found.map(\.vm) == ["a", "b"])
        #expect(found.map(\.events.count) == [2, 2])
    }

    @Test("The newest ones are told when there are more than are asked for, and those whole")
    func limit() {
        let entries = (1...5).flatMap { number in
            [
                entry(UInt64(number) * 10, .attached, run: "\(number)"),
                entry(UInt64(number) * 10 + 1, .started, run: "\(number)"),
            ]
        }
        let found = stories(entries, limit: 2)
        #expect(found.map { $0.events.map(\.time) } == [[40, 41], [50, 51]])
    }

    @Test("What a message holds cannot play tricks on the terminal, and what is not ours is left out")
    func hostile() {
        let foreign = JournalReader.Entry(
            time: 1, values: ["MESSAGE": "x", "MESSAGE_ID": "00", "VMDEV_TARGET": "work"])
        let found = stories([foreign, entry(2, .failed, "\u{1b}]0;owned\u{7}", vm: "w\u{202e}k")])
        #expect(found.count == 1)
        #expect(!render(found, .off).unicodeScalars.contains { $0.value < 32 && $0 != "\n" || $0.value == 0x202e })
    }

    @Test(
        "Moments are understood as one types them",
        arguments: [
            ("now", "2026-11-23 12:00:00"), ("-2h", "2026-11-23 10:00:00"), ("30min ago", "2026-11-23 11:30:00"),
            ("today", "2026-11-23 00:00:00"), ("yesterday", "2026-11-22 00:00:00"),
            ("2026-11-01", "2026-11-01 00:00:00"), ("2026-11-01 08:05", "2026-11-01 08:05:00"),
            ("2026-11-01 08:05:09", "2026-11-01 08:05:09"),
        ])
    func moments(text: String, expected: String) throws {
        let noon = try TimePoint("2026-11-23 12:00")
        #expect(try TimePoint(text, now: noon).description == expected)
    }

    @Test(
        "What is no moment is refused",
        arguments: [
            "", "soon", "2026", "2026-13-01", "2026-11-01 25:00", "-", "-x", "1 2 3", "2026-11-01 8", "--5",
        ])
    func noMoments(text: String) {
        #expect(throws: (any Error).self) { try TimePoint(text) }
    }
}
