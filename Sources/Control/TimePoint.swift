internal import CLinux
public import Devices
internal import Glibc

/// A moment as an administrator writes it, in the forms of systemd.time(7) that one types by hand.
public struct TimePoint: Hashable, Sendable {
    /// Microseconds since 1970.
    public let microseconds: UInt64

    /// Joins nothing.
    public init(microseconds: UInt64) { self.microseconds = microseconds }

    /// What is understood, for messages and help.
    public static let expectation =
        "a moment such as '2026-11-23', '2026-11-23 10:30', today, yesterday, '-2h' or '2h ago'"

    /// This moment.
    public static var now: TimePoint {
        var time = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        return TimePoint(
            microseconds: UInt64(clamping: time.tv_sec) * 1_000_000 + UInt64(clamping: time.tv_nsec / 1000))
    }

    /// Reads a moment in local time.
    public init(_ text: String, now: TimePoint = .now) throws(SyntaxError) {
        guard let found = TimePoint.relative(text, now) ?? TimePoint.day(text, now) ?? TimePoint.absolute(text)
        else {
            throw SyntaxError("time", text, expected: TimePoint.expectation)
        }
        self = found
    }

    /// "2026-11-23 10:30:00" in local time.
    public var description: String {
        let time = TimePoint.calendar(self)
        func two(_ number: Int32) -> String { (number < 10 ? "0" : "") + String(number) }
        return
            "\(time.year)-\(two(time.month))-\(two(time.day)) \(two(time.hour)):\(two(time.minute)):\(two(time.second))"
    }

    private static func relative(_ text: String, _ now: TimePoint) -> TimePoint? {
        let span: String
        if text == "now" { return now }
        if text.hasPrefix("-") {
            span = String(text.dropFirst())
        } else if text.hasSuffix(" ago") {
            span = String(text.dropLast(4))
        } else {
            return nil
        }
        guard let duration = TimeSpan(span)?.duration else { return nil }
        let back = UInt64(clamping: duration.components.seconds) &* 1_000_000
        return TimePoint(microseconds: now.microseconds > back ? now.microseconds - back : 0)
    }

    private static func day(_ text: String, _ now: TimePoint) -> TimePoint? {
        guard text == "today" || text == "yesterday" else { return nil }
        var time = calendar(now)
        (time.hour, time.minute, time.second) = (0, 0, 0)
        if text == "yesterday" { time.day -= 1 }
        return point(time)
    }

    private static func absolute(_ text: String) -> TimePoint? {
        let halves = text.split(separator: " ", omittingEmptySubsequences: true)
        guard let date = halves.first, halves.count <= 2, let days = numbers(date, "-"), days.count == 3,
            let clock = halves.count == 2 ? halves.last.flatMap({ numbers($0, ":") }) : [0, 0],
            clock.count == 2 || clock.count == 3
        else { return nil }
        let fields = days + clock + (clock.count == 2 ? [0] : [])
        let ranges: [ClosedRange<Int32>] = [1970...9999, 1...12, 1...31, 0...23, 0...59, 0...59]
        guard zip(fields, ranges).allSatisfy({ $1.contains($0) }) else { return nil }
        var time = vmdev_calendar()
        for (path, value) in zip(
            [\vmdev_calendar.year, \.month, \.day, \.hour, \.minute, \.second], fields)
        { time[keyPath: path] = value }
        return point(time)
    }

    private static func numbers(_ text: Substring, _ separator: Character) -> [Int32]? {
        let fields = text.split(separator: separator, omittingEmptySubsequences: false)
        let numbers = fields.compactMap { $0.utf8.count <= 4 ? Int32($0) : nil }
        return numbers.count == fields.count ? numbers : nil
    }

    private static func calendar(_ point: TimePoint) -> vmdev_calendar {
        vmdev_local_time(Int64(clamping: point.microseconds / 1_000_000))
    }

    private static func point(_ time: vmdev_calendar) -> TimePoint? {
        let seconds = vmdev_moment(time)
        return seconds < 0 ? nil : TimePoint(microseconds: UInt64(seconds) * 1_000_000)
    }
}
