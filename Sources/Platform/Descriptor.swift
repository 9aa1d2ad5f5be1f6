internal import CLinux
internal import Glibc

/// One open file descriptor and its single owner: it is closed when the last reference goes.
public final class Descriptor: Sendable {
    /// The number, for calls that need it; never to be closed by anybody else.
    public let raw: Int32
    /// What stays open as long as this one.
    private let companions: [Descriptor]

    /// Takes over a descriptor that nobody else will close, and keeps others open as long as it is.
    public init(owning raw: Int32, keeping companions: [Descriptor] = []) {
        self.raw = raw
        self.companions = companions
    }

    deinit { _ = Glibc.close(raw) }

    /// How a file is opened; every descriptor is O_CLOEXEC.
    public struct Options: OptionSet, Sendable {
        /// The VMDEV_OPEN_ flags.
        public let rawValue: Int32
        /// Wraps VMDEV_OPEN_ flags.
        public init(rawValue: Int32) { self.rawValue = rawValue }
        /// O_WRONLY.
        public static let write = Options(rawValue: Int32(VMDEV_OPEN_WRITE))
        /// O_RDWR.
        public static let readWrite = Options(rawValue: Int32(VMDEV_OPEN_READ_WRITE))
        /// O_CREAT, with the mode given.
        public static let create = Options(rawValue: Int32(VMDEV_OPEN_CREATE))
        /// O_EXCL: with `create` the file must be new; on a block device nobody else may claim it.
        public static let exclusive = Options(rawValue: Int32(VMDEV_OPEN_EXCLUSIVE))
        /// O_NOFOLLOW.
        public static let noFollow = Options(rawValue: Int32(VMDEV_OPEN_NO_FOLLOW))
        /// O_DIRECTORY.
        public static let directory = Options(rawValue: Int32(VMDEV_OPEN_DIRECTORY))
        /// O_NONBLOCK.
        public static let nonBlocking = Options(rawValue: Int32(VMDEV_OPEN_NON_BLOCKING))
        /// O_PATH.
        public static let path = Options(rawValue: Int32(VMDEV_OPEN_PATH))
    }

    /// Opens `path` read-only unless an option says otherwise.
    public static func open(
        _ path: String, _ options: Options = [], mode: UInt32 = 0o644
    ) throws(SystemCallError) -> Descriptor {
        let result = unsafe vmdev_open(path, options.rawValue, mode)
        guard result >= 0 else { throw SystemCallError("open", path, code: result) }
        return Descriptor(owning: result)
    }

    /// Opens `name` below this directory.
    public func open(
        below name: String, _ options: Options = [], mode: UInt32 = 0o644
    ) throws(SystemCallError) -> Descriptor {
        let result = unsafe vmdev_openat(raw, name, options.rawValue, mode)
        guard result >= 0 else { throw SystemCallError("open", name, code: result) }
        return Descriptor(owning: result)
    }

    /// A second descriptor of the same open file, with which others are kept open: locks and claims belong to both.
    public func duplicate(keeping companions: [Descriptor] = []) throws(SystemCallError) -> Descriptor {
        let copy = fcntl(raw, F_DUPFD_CLOEXEC, 3)
        guard copy >= 0 else { throw SystemCallError("duplicate", "descriptor \(raw)", code: errno) }
        return Descriptor(owning: copy, keeping: companions)
    }

    /// Opens the same file once more (proc(5), /proc/self/fd): locks and claims stay with the first.
    public func reopened(_ options: Options = []) throws(SystemCallError) -> Descriptor {
        try Descriptor.open("/proc/self/fd/\(raw)", options)
    }

    /// Reads at most `count` bytes; an empty answer is the end of the file.
    public func read(upTo count: Int) throws(SystemCallError) -> [UInt8] {
        var code: Int32 = 0
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            var result: Int
            repeat { unsafe result = Glibc.read(raw, buffer.baseAddress, count) } while result < 0 && errno == EINTR
            if result < 0 { code = errno }
            filled = max(result, 0)
        }
        guard code == 0 else { throw SystemCallError("read", "descriptor \(raw)", code: code) }
        return bytes
    }

    /// Reads to the end, or fails with EFBIG when there are more than `limit` bytes.
    public func readAll(limit: Int) throws(SystemCallError) -> [UInt8] {
        var result: [UInt8] = []
        while true {
            let chunk = try read(upTo: min(65_536, limit - result.count + 1))
            if chunk.isEmpty { return result }
            result += chunk
            guard result.count <= limit else { throw SystemCallError("read", "descriptor \(raw)", code: EFBIG) }
        }
    }

    /// From now on neither a read nor a write waits, by whoever has the same open file.
    public func setNonBlocking() throws(SystemCallError) {
        let flags = fcntl(raw, F_GETFL)
        guard flags >= 0, fcntl(raw, F_SETFL, flags | O_NONBLOCK) >= 0 else {
            throw SystemCallError("set up", "descriptor \(raw)", code: errno)
        }
    }

    /// Writes all of `bytes`.
    public func write(_ bytes: [UInt8]) throws(SystemCallError) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let sent = unsafe rest.withUnsafeBytes { unsafe Glibc.write(raw, $0.baseAddress, $0.count) }
            if sent < 0 {
                guard errno == EINTR else { throw SystemCallError("write", "descriptor \(raw)", code: errno) }
                continue
            }
            rest = rest.dropFirst(sent)
        }
    }
}

extension Descriptor {
    /// Makes `bytes` all that is in the file.
    public func replaceContents(with bytes: [UInt8]) throws(SystemCallError) {
        guard ftruncate(raw, 0) == 0, lseek(raw, 0, SEEK_SET) == 0 else {
            throw SystemCallError("write", "descriptor \(raw)", code: errno)
        }
        try write(bytes)
    }
}

/// Reads a small file that the kernel or an administrator wrote.
public func contents(of path: String, limit: Int = 1 << 20) throws(SystemCallError) -> [UInt8] {
    do {
        return try Descriptor.open(path).readAll(limit: limit)
    } catch {
        throw SystemCallError(error.call, path, code: error.code)
    }
}
