internal import Platform

/// The lock that every editor of the table holds while it reads, changes and writes it.
struct TableLock: ~Copyable {
    private let file: Descriptor

    /// Takes the lock; waits for another editor until `deadline`, on the kernel's notice that a file was closed there.
    static func take(_ folder: String, until deadline: Deadline) throws(TableError) -> TableLock {
        let path = folder + "/table.lock"
        do {
            try makeFolders(folder)
            if let file = try attempt(path) { return TableLock(file: file) }
            let watch = try FolderWatch(folder)
            while true {
                if let file = try attempt(path) { return TableLock(file: file) }
                guard !deadline.hasPassed else { break }
                // The notice can come just before the lock is free (close(2) tells first), so none is waited for long.
                _ = try watch.next(until: Deadline(after: .milliseconds(min(200, deadline.milliseconds))))
            }
        } catch {
            throw .unwritable(path, error)
        }
        throw TableError(
            .busy, path, "another editor of the assignments holds this lock",
            remedy: "try again when it has finished ('fuser -v' on that file shows who it is)")
    }

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
