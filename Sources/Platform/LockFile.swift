internal import Glibc

/// A file whose lock means that its holder is alone at some work; it is free when the holder lets go of this or dies.
public struct LockFile: ~Copyable {
    private let file: Descriptor

    /// Takes the lock at `path`, whose folder exists; waits for another holder until `deadline`, on the kernel's notice
    /// that a file was closed there. Answers nil when the deadline came first.
    public static func take(_ path: String, until deadline: Deadline) throws(SystemCallError) -> LockFile? {
        if let file = try attempt(path) { return LockFile(file: file) }
        guard let slash = path.lastIndex(of: "/") else { throw SystemCallError("lock", path, code: EINVAL) }
        let watch = try FolderWatch(String(path[..<slash]))
        while true {
            if let file = try attempt(path) { return LockFile(file: file) }
            guard !deadline.hasPassed else { return nil }
            // The notice can come just before the lock is free (close(2) tells first), so none is waited for long.
            _ = try watch.next(until: Deadline(after: .milliseconds(min(200, deadline.milliseconds))))
        }
    }

    /// Lets go now; without it the lock is held as long as this lives.
    public consuming func release() {}

    deinit { _ = try? file.tryLock(.none) }

    private init(file: Descriptor) { self.file = file }

    /// Opens and locks the file; nil when somebody else has the lock, or has removed the file in between.
    private static func attempt(_ path: String) throws(SystemCallError) -> Descriptor? {
        let file = try Descriptor.open(path, [.readWrite, .create, .noFollow], mode: 0o600)
        guard try file.tryLock(.exclusive) else { return nil }
        let opened = try file.status()
        let entry = try FileStatus.ofEntry(path)
        return entry?.inode == opened.inode && entry?.device == opened.device ? file : nil
    }
}
