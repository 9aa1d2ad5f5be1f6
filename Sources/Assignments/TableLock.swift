internal import Platform

/// The lock that every editor of the table holds while it reads, changes and writes it.
enum TableLock {
    /// Takes the lock; waits for another editor until `deadline`.
    static func take(_ folder: String, until deadline: Deadline) throws(TableError) -> LockFile {
        let path = folder + "/table.lock"
        do {
            try makeFolders(folder)
            if let lock = try LockFile.take(path, until: deadline) { return lock }
        } catch {
            throw .unwritable(path, error)
        }
        throw TableError(
            .busy, path, "another editor of the assignments holds this lock",
            remedy: "try again when it has finished ('fuser -v' on that file shows who it is)")
    }
}
