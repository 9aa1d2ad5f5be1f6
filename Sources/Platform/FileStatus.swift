internal import Glibc

/// One state of one file, from stat(2): two that are equal mean that nobody has replaced or written it in between.
public struct FileStatus: Sendable, Equatable {
    /// What kind of file it is.
    public enum Kind: Sendable, Equatable {
        /// A plain file.
        case regular
        /// A folder.
        case directory
        /// A symbolic link itself.
        case link
        /// A device, FIFO or socket.
        case other
    }

    /// A point in the file system's time.
    public struct Time: Sendable, Equatable {
        let seconds: Int
        let nanoseconds: Int
    }

    /// What kind of file it is.
    public let kind: Kind
    /// The file system that it is on.
    public let device: UInt64
    /// Its number there.
    public let inode: UInt64
    /// Bytes.
    public let size: Int64
    /// When its content last changed.
    public let modified: Time
    /// When its content, owner or mode last changed; nobody can set this one back.
    public let changed: Time
    /// Permissions with the set-id and sticky bits: the low 12 bits of the mode.
    public let permissions: UInt32
    /// Number of the user who owns it.
    public let owner: UInt32
    /// Number of the group that owns it.
    public let group: UInt32

    init(_ status: stat) {
        switch status.st_mode & S_IFMT {
        case S_IFREG: kind = .regular
        case S_IFDIR: kind = .directory
        case S_IFLNK: kind = .link
        default: kind = .other
        }
        device = UInt64(status.st_dev)
        inode = UInt64(status.st_ino)
        size = Int64(status.st_size)
        modified = Time(seconds: status.st_mtim.tv_sec, nanoseconds: status.st_mtim.tv_nsec)
        changed = Time(seconds: status.st_ctim.tv_sec, nanoseconds: status.st_ctim.tv_nsec)
        permissions = status.st_mode & 0o7777
        owner = status.st_uid
        group = status.st_gid
    }

    /// The state of what is at `path`, a link itself and not what it points to; nil when nothing is there.
    public static func ofEntry(_ path: String) throws(SystemCallError) -> FileStatus? {
        try read(path, below: AT_FDCWD)
    }

    fileprivate static func read(_ name: String, below folder: Int32) throws(SystemCallError) -> FileStatus? {
        var status = stat()
        guard unsafe fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) == 0 else {
            if errno == ENOENT { return nil }
            throw SystemCallError("stat", name, code: errno)
        }
        return FileStatus(status)
    }
}

extension Descriptor {
    /// The state of the open file.
    public func status() throws(SystemCallError) -> FileStatus {
        var status = stat()
        guard unsafe fstat(raw, &status) == 0 else {
            throw SystemCallError("stat", "descriptor \(raw)", code: errno)
        }
        return FileStatus(status)
    }

    /// The state of the entry `name` of this folder, a link itself and not what it points to; nil when there is none.
    public func status(below name: String) throws(SystemCallError) -> FileStatus? {
        try FileStatus.read(name, below: raw)
    }

    /// Reads into `buffer` from index `start` on, and answers how many bytes came; 0 is the end of the file.
    public func read(into buffer: inout [UInt8], from start: Int) throws(SystemCallError) -> Int {
        let result = unsafe buffer.withUnsafeMutableBytes { whole -> Int in
            guard start >= 0, start < whole.count else { return -Int(EINVAL) }
            let room = unsafe UnsafeMutableRawBufferPointer(rebasing: whole[start...])
            while true {
                let count = unsafe Glibc.read(raw, room.baseAddress, room.count)
                if count >= 0 { return count }
                if errno != EINTR { return -Int(errno) }
            }
        }
        guard result >= 0 else { throw SystemCallError("read", "descriptor \(raw)", code: Int32(clamping: result)) }
        return result
    }
}
