internal import Glibc

/// Tells when something changes in a folder, or is closed (inotify(7)), so that nobody has to look again and again.
public struct FolderWatch: Sendable {
    /// Readable after a change.
    public let descriptor: Descriptor

    /// Watches for files that appear, are renamed, or are closed after writing.
    public init(_ folder: String) throws(SystemCallError) {
        // IN_CREATE | IN_MOVED_TO | IN_CLOSE_WRITE | IN_ATTRIB: a socket shows by IN_CREATE, its mode by IN_ATTRIB.
        try self.init([folder], events: 0x100 | 0x80 | 0x8 | 0x4)
    }

    /// Watches for anybody who closes one of these files or device nodes, however it was open.
    public init(closingOf files: [String]) throws(SystemCallError) {
        try self.init(files, events: 0x8 | 0x10)  // IN_CLOSE_WRITE | IN_CLOSE_NOWRITE
    }

    init(_ paths: [String], events: UInt32) throws(SystemCallError) {
        let raw = inotify_init1(0o2_000_000 | 0o4_000)  // IN_CLOEXEC | IN_NONBLOCK
        guard raw >= 0 else { throw SystemCallError("inotify", paths.first ?? "", code: errno) }
        descriptor = Descriptor(owning: raw)
        for path in paths {
            guard unsafe inotify_add_watch(raw, path, events) >= 0 else {
                throw SystemCallError("watch", path, code: errno)
            }
        }
    }

    /// Can be read, as poll(2) says it, when something has changed.
    public var raw: Int32 { descriptor.raw }

    /// Waits for the next change, and takes note of all that came with it; answers false when the deadline came first.
    public func next(until deadline: Deadline) throws(SystemCallError) -> Bool {
        guard try descriptor.wait(.readable, until: deadline) else { return false }
        _ = try descriptor.read(upTo: 65_536)
        return true
    }
}

extension FolderWatch {
    /// Watches for files that go from a folder.
    public init(removalsFrom folder: String) throws(SystemCallError) {
        try self.init([folder], events: 0x200 | 0x40)  // IN_DELETE | IN_MOVED_FROM
    }
}
