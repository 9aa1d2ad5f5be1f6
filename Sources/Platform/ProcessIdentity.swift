/// One process, told apart from a later one with its number by when it began; it can be written down and read back.
public struct ProcessIdentity: Hashable, Sendable, CustomStringConvertible {
    /// Its number.
    public let pid: Int32
    /// When it began, in clock ticks after the start of the kernel (proc(5), /proc/PID/stat, field 22).
    public let began: UInt64

    /// The process that has this number now; nil when there is none, or when it has ended and only waits to be
    /// collected: then all that it held is free.
    public init?(of pid: Int32) {
        guard pid > 0, let bytes = try? contents(of: "/proc/\(pid)/stat", limit: 65_536) else { return nil }
        // The second field is the program's name in parentheses, which may hold blanks and parentheses itself.
        guard let end = bytes.lastIndex(of: UInt8(ascii: ")")) else { return nil }
        let fields = String(decoding: bytes[bytes.index(after: end)...], as: UTF8.self).split(separator: " ")
        guard let state = fields.first, state != "Z", state != "X", fields.count > 19,
            let began = UInt64(fields[19])
        else { return nil }
        self.pid = pid
        self.began = began
    }

    /// Reads what `description` wrote; nil for anything else.
    public init?(_ text: String) {
        let parts = text.split(separator: " ", omittingEmptySubsequences: false)
        guard parts.count == 2, let pid = Int32(parts[0]), pid > 0, let began = UInt64(parts[1]) else { return nil }
        self.pid = pid
        self.began = began
    }

    /// "4711 123456".
    public var description: String { "\(pid) \(began)" }

    /// Whether it is still there.
    public var isAlive: Bool { ProcessIdentity(of: pid) == self }
}
