internal import CSystemd
internal import Glibc
public import Platform

/// The journal of this host.
public struct Journal: Sendable {
    /// Whether journald listens. libsystemd reports success when it does not, so this has to be asked before.
    public let isAvailable: Bool
    /// Whether standard error already goes to the journal, so that a text written there as well would come twice.
    public let receivesStandardError: Bool
    /// Which unit's process we are, and in which run. journald looks that up itself, but of a process that has ended by
    /// then it finds nothing, and `journalctl -u` would not show what we said last.
    private let origin: [JournalEntry.Field]

    /// Looks for journald and for what systemd says of standard error in `environment` (JOURNAL_STREAM).
    ///
    /// libsystemd knows one socket only, that of the host: under another root there is no journal.
    public init(root: Root = .host, environment: [String: String]) {
        let socket = "/run/systemd/journal/socket"
        isAvailable = root.isHost && (try? Descriptor.open(socket, [.path])) != nil
        receivesStandardError = isAvailable && environment["JOURNAL_STREAM"] == journalStream(of: STDERR_FILENO)
        var origin: [JournalEntry.Field] = []
        if isAvailable, let unit = ownUnit() { origin.append(JournalEntry.Field(.unit, unit)) }
        if isAvailable, let run = environment["INVOCATION_ID"] {
            origin.append(JournalEntry.Field(.invocation, run))
        }
        self.origin = origin
    }

    /// Writes one entry; answers false when it did not get there and the caller has to tell it otherwise.
    public func send(_ entry: JournalEntry) -> Bool {
        guard isAvailable else { return false }
        var bytes: [UInt8] = []
        var counts: [Int] = []
        for assignment in entry.with(origin).assignments {
            bytes += assignment.utf8
            counts.append(assignment.utf8.count)
        }
        return unsafe bytes.withUnsafeMutableBytes { buffer -> Bool in
            guard var next = buffer.baseAddress else { return false }
            var vectors: [iovec] = unsafe []
            for count in counts {
                unsafe vectors.append(iovec(iov_base: next, iov_len: count))
                unsafe next += count
            }
            return unsafe vectors.withUnsafeBufferPointer { vectors in
                // The function of this name, unlike C's macro, adds no CODE_FILE=, CODE_LINE= and CODE_FUNC=.
                unsafe sd_journal_sendv(vectors.baseAddress, Int32(clamping: vectors.count)) >= 0
            }
        }
    }
}

/// The unit of this process; nil when it is of none.
private func ownUnit() -> String? {
    var text: UnsafeMutablePointer<CChar>?
    guard unsafe sd_pid_get_unit(0, &text) >= 0, let text = unsafe text else { return nil }
    defer { unsafe free(text) }
    return unsafe String(cString: text)
}

/// What JOURNAL_STREAM of systemd.exec(5) says when `descriptor` is the stream that it speaks of.
private func journalStream(of descriptor: Int32) -> String? {
    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0 else { return nil }
    return "\(status.st_dev):\(status.st_ino)"
}
