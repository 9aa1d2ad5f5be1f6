internal import Glibc

/// A point in monotonic time that blocking calls do not pass.
public struct Deadline: Sendable, Equatable {
    let nanoseconds: Int64

    /// A deadline `duration` from now; durations too long to count mean never.
    public init(after duration: Duration) {
        let (seconds, attoseconds) = duration.components
        let bounded = min(max(seconds, 0), 1 << 32)
        nanoseconds = Deadline.now + bounded * 1_000_000_000 + (seconds < 0 ? 0 : attoseconds / 1_000_000_000)
    }

    /// Whether it has come.
    public var hasPassed: Bool { Deadline.now >= nanoseconds }

    /// What poll(2) takes: milliseconds left, rounded up, 0 when passed.
    public var milliseconds: Int32 {
        let left = nanoseconds - Deadline.now
        return left <= 0 ? 0 : Int32(clamping: (left + 999_999) / 1_000_000)
    }

    /// What sd-bus(3) takes: microseconds left, rounded up, and 1 when passed (0 would be its own default).
    public var microseconds: UInt64 {
        let left = nanoseconds - Deadline.now
        return left <= 0 ? 1 : UInt64((left + 999) / 1000)
    }

    fileprivate static var now: Int64 {
        var time = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}

/// What has passed of monotonic time since it was made.
public struct Stopwatch: Sendable {
    private let start = Deadline.now

    /// Begins now.
    public init() {}

    /// How long ago that was.
    public var elapsed: Duration { .nanoseconds(Deadline.now - start) }
}

/// What a descriptor is waited for.
public enum Readiness: Sendable {
    /// Something to read, or the other end has gone.
    case readable
    /// Room to write.
    case writable
}

extension Descriptor {
    /// Waits until the descriptor is ready; answers false when the deadline came first.
    public func wait(_ readiness: Readiness, until deadline: Deadline) throws(SystemCallError) -> Bool {
        var entry = pollfd(fd: raw, events: Int16(readiness == .readable ? POLLIN : POLLOUT), revents: 0)
        while true {
            let result = unsafe poll(&entry, 1, deadline.milliseconds)
            if result > 0 { return true }
            if result == 0 { return false }
            guard errno == EINTR else { throw SystemCallError("poll", "descriptor \(raw)", code: errno) }
        }
    }
}

/// Waits until one of the descriptors can be read, and answers which can, by their indices; none when the deadline came
/// first.
public func readable(among descriptors: [Int32], until deadline: Deadline) throws(SystemCallError) -> [Int] {
    var entries = descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
    while true {
        let result = unsafe poll(&entries, nfds_t(entries.count), deadline.milliseconds)
        if result >= 0 { return entries.indices.filter { entries[$0].revents != 0 } }
        guard errno == EINTR else { throw SystemCallError("poll", "\(descriptors.count) descriptors", code: errno) }
    }
}
