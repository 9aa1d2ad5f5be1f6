internal import Glibc

/// A new content for a file, written beside it and put in its place in one step: after a crash at any moment there is
/// the old file or the new one. What is not committed leaves nothing behind.
public struct AtomicReplacement: ~Copyable {
    private let folder: Descriptor
    private let name: String
    private let temporary: String
    private let file: Descriptor
    private var isPending = true

    /// Begins a replacement of the entry `name` of `folder` with owner and permissions of `original`, or with
    /// `permissions` when there is none yet.
    ///
    /// `temporary` is the name of the new file until then. Whoever calls has to see to it (with a lock) that nobody else
    /// uses that name: what is found under it is taken for the leftover of a crash, and removed.
    public static func begin(
        of name: String, in folder: Descriptor, temporary: String, like original: FileStatus?,
        permissions: UInt32 = 0o644
    ) throws(SystemCallError) -> AtomicReplacement {
        try folder.remove(below: temporary)
        let file = try folder.open(below: temporary, [.write, .create, .exclusive, .noFollow], mode: 0o600)
        let replacement = AtomicReplacement(folder: folder, name: name, temporary: temporary, file: file)
        try replacement.adopt(original, permissions: original?.permissions ?? permissions)
        return replacement
    }

    private init(folder: Descriptor, name: String, temporary: String, file: Descriptor) {
        self.folder = folder
        self.name = name
        self.temporary = temporary
        self.file = file
    }

    private func adopt(_ original: FileStatus?, permissions: UInt32) throws(SystemCallError) {
        let created = try file.status()
        if let original, created.owner != original.owner || created.group != original.group {
            guard fchown(file.raw, original.owner, original.group) == 0 else {
                throw SystemCallError("set the owner of", temporary, code: errno)
            }
        }
        // After the owner, because chown(2) clears set-id bits.
        guard fchmod(file.raw, permissions) == 0 else {
            throw SystemCallError("set the permissions of", temporary, code: errno)
        }
    }

    deinit {
        if isPending { _ = unsafe unlinkat(folder.raw, temporary, 0) }
    }

    /// Adds to the new content.
    public func write(_ bytes: [UInt8]) throws(SystemCallError) {
        do {
            try file.write(bytes)
        } catch {
            throw SystemCallError("write", temporary, code: error.code)
        }
    }

    /// Brings the new content to the disk and puts it in place, unless the entry is no longer in the state `expected`
    /// (nil: not there): then nothing is changed and the answer is false. An error that names the folder means that the
    /// new content is in place, but may not outlast a crash.
    public mutating func commit(ifStill expected: FileStatus?) throws(SystemCallError) -> Bool {
        guard fsync(file.raw) == 0 else { throw SystemCallError("write", temporary, code: errno) }
        guard try folder.status(below: name) == expected else { return false }
        guard unsafe renameat(folder.raw, temporary, folder.raw, name) == 0 else {
            throw SystemCallError("rename", temporary, code: errno)
        }
        isPending = false
        guard fsync(folder.raw) == 0 else {
            throw SystemCallError("secure the new content in the folder of", name, code: errno)
        }
        return true
    }
}

extension Descriptor {
    /// Removes the entry `name` of this folder, if it is there; a link is removed itself, a folder never.
    public func remove(below name: String) throws(SystemCallError) {
        guard unsafe unlinkat(raw, name, 0) == 0 || errno == ENOENT else {
            throw SystemCallError("remove", name, code: errno)
        }
    }
}

/// Makes the folder `path` with these permissions, whatever the umask says, and those above it that are missing with
/// 0755. A folder that is there stays as it is.
public func makeFolders(_ path: String, permissions: UInt32 = 0o755) throws(SystemCallError) {
    if unsafe mkdir(path, permissions) != 0 {
        switch errno {
        case EEXIST: return
        case ENOENT:
            guard let slash = path.lastIndex(of: "/"), slash > path.startIndex else {
                throw SystemCallError("make folder", path, code: ENOENT)
            }
            try makeFolders(String(path[..<slash]))
            if unsafe mkdir(path, permissions) != 0 {
                guard errno == EEXIST else { throw SystemCallError("make folder", path, code: errno) }
                return
            }
        default: throw SystemCallError("make folder", path, code: errno)
        }
    }
    _ = unsafe chmod(path, permissions)
}
