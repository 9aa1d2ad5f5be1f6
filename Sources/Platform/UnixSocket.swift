internal import CLinux
internal import Glibc

/// A connected UNIX stream socket; every operation has a deadline.
public struct UnixSocket: Sendable {
    /// The connection; nil once closed is not possible: the last owner closes it.
    public let descriptor: Descriptor

    /// Takes over a connected socket.
    public init(_ descriptor: Descriptor) { self.descriptor = descriptor }

    /// Connects to the socket at `path`, of any length: the folder is opened first and the short name is used below it.
    ///
    /// A server whose queue is full makes connect(2) wait; with a deadline it fails with EAGAIN then.
    public static func connect(
        to path: String, until deadline: Deadline? = nil
    ) throws(SystemCallError) -> UnixSocket {
        guard let slash = path.lastIndex(of: "/") else { throw SystemCallError("connect to", path, code: EINVAL) }
        let folder = try Descriptor.open(String(path[...slash]), [.path, .directory])
        let short = "/proc/self/fd/\(folder.raw)/\(path[path.index(after: slash)...])"

        let raw = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | 0o2_000_000, 0)  // SOCK_CLOEXEC
        guard raw >= 0 else { throw SystemCallError("socket", path, code: errno) }
        let descriptor = Descriptor(owning: raw)
        guard var address = unixAddress(path.utf8.count < 108 ? path : short) else {
            throw SystemCallError("connect to", path, code: ENAMETOOLONG)
        }
        if let deadline { try limitWaiting(of: raw, until: deadline) }
        let result = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe Glibc.connect(raw, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard result == 0 else { throw SystemCallError("connect to", path, code: errno) }
        return UnixSocket(descriptor)
    }

    /// Which process serves the other end, if the kernel tells: the one that called listen(2).
    public func peer() -> ProcessHandle? {
        let pid = vmdev_peer_pid(descriptor.raw)
        guard pid > 1 else { return nil }
        return ProcessHandle(pid: pid)
    }

    /// unix(7): connect(2) heeds the socket's send timeout; 0 there means none, so a passed deadline is 1 µs.
    private static func limitWaiting(of raw: Int32, until deadline: Deadline) throws(SystemCallError) {
        let left = Int(deadline.milliseconds)
        var time = timeval(tv_sec: left / 1000, tv_usec: left == 0 ? 1 : left % 1000 * 1000)
        let size = socklen_t(MemoryLayout<timeval>.size)
        guard unsafe setsockopt(raw, SOL_SOCKET, SO_SNDTIMEO, &time, size) == 0 else {
            throw SystemCallError("limit", "socket", code: errno)
        }
    }

    /// Reads what is there, at most `count` bytes; nil when the deadline came first, empty when the peer has closed.
    public func read(upTo count: Int, until deadline: Deadline) throws(SystemCallError) -> [UInt8]? {
        guard try descriptor.wait(.readable, until: deadline) else { return nil }
        return try descriptor.read(upTo: count)
    }

    /// Tells the peer that nothing more comes, while its answer is still awaited (shutdown(2), SHUT_WR).
    public func finishSending() throws(SystemCallError) {
        guard shutdown(descriptor.raw, Int32(SHUT_WR)) == 0 else {
            throw SystemCallError("finish sending to", "socket", code: errno)
        }
    }

    /// Sends all bytes, the first of them together with a copy of `passing`; answers false when the deadline came first.
    public func send(
        _ bytes: [UInt8], passing: Descriptor? = nil, until deadline: Deadline
    ) throws(SystemCallError) -> Bool {
        var rest = bytes[...]
        var passing = passing
        while !rest.isEmpty {
            let sent = unsafe rest.withUnsafeBytes { buffer -> Int64 in
                if let passing {
                    return unsafe vmdev_send_descriptor(
                        descriptor.raw, buffer.baseAddress, buffer.count, passing.raw)
                }
                let flags = Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT)
                let result = unsafe Glibc.send(descriptor.raw, buffer.baseAddress, buffer.count, flags)
                return result < 0 ? Int64(-errno) : Int64(result)
            }
            if sent < 0 {
                let error = SystemCallError("send to", "socket", code: Int32(clamping: sent))
                if error.code == EINTR { continue }
                guard error.code == EAGAIN else { throw error }
                // Waited for only when it is needed: there is nearly always room.
                guard try descriptor.wait(.writable, until: deadline) else { return false }
                continue
            }
            passing = nil
            rest = rest.dropFirst(Int(sent))
        }
        return true
    }
}

/// The address of a socket in the file system, or nil when the path is too long for it.
private func unixAddress(_ path: String) -> sockaddr_un? {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let bytes = Array(path.utf8)
    let fits = unsafe withUnsafeMutableBytes(of: &address.sun_path) { room -> Bool in
        guard bytes.count < room.count else { return false }
        unsafe room.copyBytes(from: bytes)
        return true
    }
    return fits ? address : nil
}
