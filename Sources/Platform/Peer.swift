internal import CLinux
internal import Glibc

/// Who is at the other end of a connection.
public enum Peer: Hashable, Sendable {
    /// A VM, by its number (vsock(7)).
    case vm(UInt32)
    /// An IP address, as text.
    case address(String)
    /// Somebody on this machine.
    case local

    /// Asks the kernel; nil when the other end has gone already.
    public init?(of connection: Descriptor) {
        var cid: UInt32 = 0
        var host = [CChar](repeating: 0, count: 64)
        switch unsafe vmdev_peer(connection.raw, &cid, &host, host.count) {
        case AF_VSOCK: self = .vm(cid)
        case AF_INET, AF_INET6:
            self = .address(String(decoding: host.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self))
        case AF_UNIX: self = .local
        default: return nil
        }
    }
}

extension Listener {
    /// The socket that systemd has passed to us (sd_listen_fds(3)); nil when there is none.
    public static var passed: Listener? {
        guard let pid = unsafe getenv("LISTEN_PID"), let count = unsafe getenv("LISTEN_FDS"),
            unsafe String(cString: pid) == String(getpid()), unsafe Int(String(cString: count)) ?? 0 > 0
        else { return nil }
        _ = fcntl(3, F_SETFD, FD_CLOEXEC)
        return Listener(Descriptor(owning: 3))
    }

    /// Takes all connections that wait, `limit` at most, and closes them: who they were from.
    public func takePeers(limit: Int) -> Set<Peer> {
        var peers: Set<Peer> = []
        for _ in 0..<limit {
            let raw = vmdev_accept_waiting(descriptor.raw)
            if raw == -ECONNABORTED { continue }
            guard raw >= 0 else { break }
            if let peer = Peer(of: Descriptor(owning: raw)) { peers.insert(peer) }
        }
        return peers
    }
}
