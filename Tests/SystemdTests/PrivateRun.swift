import Foundation
import Glibc
import Platform

/// Gives this thread a /run of its own, empty, that nobody else sees. For the child process of an exit test, whose body
/// does not change threads as long as it does not await.
func enterPrivateRun() throws {
    // Glibc's module does not show unshare(2).
    let symbol = dlsym(nil, "unshare")
    typealias Unshare = @convention(c) (Int32) -> Int32
    let unshare = unsafeBitCast(symbol, to: Unshare.self)
    guard unshare(0x20000) == 0 else { throw SystemCallError("unshare", "mounts", code: errno) }  // CLONE_NEWNS
    guard mount("none", "/", nil, 0x4000 | 0x40000, nil) == 0 else {  // MS_REC | MS_PRIVATE
        throw SystemCallError("make private", "/", code: errno)
    }
    guard mount("tmpfs", "/run", "tmpfs", 0, nil) == 0 else {
        throw SystemCallError("mount", "/run", code: errno)
    }
}

/// A datagram socket bound to a path, as journald and systemd have them.
struct Mailbox {
    let descriptor: Descriptor

    init(at path: String) throws {
        let raw = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | 0o2_000_000, 0)
        guard raw >= 0 else { throw SystemCallError("socket", path, code: errno) }
        descriptor = Descriptor(owning: raw)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(raw, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard result == 0 else { throw SystemCallError("bind", path, code: errno) }
    }

    /// What has come, at once: a datagram on a UNIX socket is there when send(2) returns.
    func take() throws -> [UInt8]? {
        guard try descriptor.wait(.readable, until: Deadline(after: .zero)) else { return nil }
        return try descriptor.read(upTo: 1 << 20)
    }
}
