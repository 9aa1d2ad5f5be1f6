internal import Glibc

/// Tells when something changes in a folder (inotify(7)), so that nobody has to look again and again.
public struct FolderWatch: Sendable {
    private let descriptor: Descriptor

    /// Watches for files that appear, are renamed, or are closed after writing.
    public init(_ folder: String) throws(SystemCallError) {
        let raw = inotify_init1(0o2_000_000 | 0o4_000)  // IN_CLOEXEC | IN_NONBLOCK
        guard raw >= 0 else { throw SystemCallError("inotify", folder, code: errno) }
        descriptor = Descriptor(owning: raw)
        // IN_CREATE | IN_MOVED_TO | IN_CLOSE_WRITE | IN_ATTRIB: a socket shows by IN_CREATE, its mode by IN_ATTRIB.
        let events: UInt32 = 0x100 | 0x80 | 0x8 | 0x4
        guard unsafe inotify_add_watch(raw, folder, events) >= 0 else {
            throw SystemCallError("watch", folder, code: errno)
        }
    }

    /// Waits for the next change, and takes note of all that came with it; answers false when the deadline came first.
    public func next(until deadline: Deadline) throws(SystemCallError) -> Bool {
        guard try descriptor.wait(.readable, until: deadline) else { return false }
        _ = try descriptor.read(upTo: 65_536)
        return true
    }
}
