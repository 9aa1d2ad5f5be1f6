internal import CLinux
internal import Glibc

/// A socket on which somebody may connect.
public struct Listener: Sendable {
    /// The socket.
    public let descriptor: Descriptor

    /// Listens `channel` ports above where the connected socket was reached; for a UNIX socket at its path with `.channel`
    /// added. EAFNOSUPPORT where there is no such place, EADDRINUSE when somebody has it.
    public init(beside connection: Descriptor, channel: Int) throws(SystemCallError) {
        let raw = vmdev_listen_beside(connection.raw, UInt32(clamping: channel))
        guard raw >= 0 else { throw SystemCallError("listen on", "channel \(channel)", code: raw) }
        descriptor = Descriptor(owning: raw)
    }

    init(_ descriptor: Descriptor) { self.descriptor = descriptor }

    /// Takes a UNIX socket out of the file system.
    public func unlink() { _ = vmdev_unlink_listener(descriptor.raw) }
}

extension Descriptor {
    /// Has the kernel end a TCP connection whose other end is gone without a word; another descriptor stays as it is.
    public func keepAlive() throws(SystemCallError) {
        let code = vmdev_keep_alive(raw)
        guard code == 0 else { throw SystemCallError("watch", "descriptor \(raw)", code: code) }
    }

    /// Whether the other end of the connection has gone.
    public var isHungUp: Bool {
        var entry = pollfd(fd: raw, events: 0, revents: 0)
        return unsafe poll(&entry, 1, 0) > 0 && entry.revents & Int16(POLLHUP) != 0
    }

    /// Waits until one of several has something to read or its other end has gone, and tells of each whether it is so.
    public static func waitForAny(_ descriptors: [Descriptor]) throws(SystemCallError) -> [Bool] {
        var entries = descriptors.map { pollfd(fd: $0.raw, events: Int16(POLLIN), revents: 0) }
        while true {
            let result = unsafe poll(&entries, UInt(entries.count), -1)
            if result >= 0 { return entries.map { $0.revents != 0 } }
            guard errno == EINTR else { throw SystemCallError("poll", "descriptors", code: errno) }
        }
    }
}

/// Connections to other machines.
public enum Connection {
    /// Connects to a port of a VM (vsock(7)).
    public static func vsock(cid: UInt32, port: UInt32, until deadline: Deadline) throws(SystemCallError)
        -> Descriptor
    {
        let raw = vmdev_connect_vsock(cid, port, deadline.milliseconds)
        guard raw >= 0 else { throw SystemCallError("connect to", "vsock:\(cid):\(port)", code: raw) }
        return Descriptor(owning: raw)
    }

    /// Connects to a port of an IP address.
    public static func tcp(host: String, port: UInt16, until deadline: Deadline) throws(SystemCallError)
        -> Descriptor
    {
        let raw = unsafe vmdev_connect_tcp(host, port, deadline.milliseconds)
        guard raw >= 0 else { throw SystemCallError("connect to", "tcp:\(host):\(port)", code: raw) }
        return Descriptor(owning: raw)
    }
}
