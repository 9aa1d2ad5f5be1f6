internal import Glibc

/// A file whose lock means that its holder is alone at some work; it is free when the holder lets go of this or dies.
public struct LockFile: ~Copyable {
    private let file: Descriptor

    /// Takes the lock at `path`, whose folder exists; waits for another holder until `deadline`, on the kernel's notice
    /// that a file was closed there. Answers nil when the deadline came first.
    public static func take(_ path: String, until deadline: Deadline) throws(SystemCallError) -> LockFile? {
        var file = try open(path)
        var watch: FolderWatch?
        while true {
            if try file.tryLock(.exclusive) {
                if try isEntry(file, path) { return LockFile(file: file) }
                // Somebody has removed it in between.
                file = try open(path)
                continue
            }
            guard let present = watch else {
                guard let slash = path.lastIndex(of: "/") else { throw SystemCallError("lock", path, code: EINVAL) }
                watch = try FolderWatch(String(path[..<slash]))
                continue
            }
            guard !deadline.hasPassed else { return nil }
            // The notice can come just before the lock is free (close(2) tells first), so none is waited for long. Nothing is
            // closed here meanwhile: that would be a notice, too, and we would wait no more.
            _ = try present.next(until: Deadline(after: .milliseconds(min(200, deadline.milliseconds))))
        }
    }

    /// Lets go now; without it the lock is held as long as this lives.
    public consuming func release() {}

    deinit { _ = try? file.tryLock(.none) }

    private init(file: Descriptor) { self.file = file }

    private static func open(_ path: String) throws(SystemCallError) -> Descriptor {
        try Descriptor.open(path, [.readWrite, .create, .noFollow], mode: 0o600)
    }

    /// Whether it is what is at that path now.
    private static func isEntry(_ file: Descriptor, _ path: String) throws(SystemCallError) -> Bool {
        let opened = try file.status()
        let entry = try FileStatus.ofEntry(path)
        return entry?.inode == opened.inode && entry?.device == opened.device
    }
}
