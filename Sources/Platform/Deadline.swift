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

    private static var now: Int64 {
        var time = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
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
