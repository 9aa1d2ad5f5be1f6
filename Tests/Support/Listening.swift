import Foundation
import Glibc
package import Platform

/// A UNIX stream socket at `path` on which up to `count` clients may wait.
package func listeningSocket(at path: String, count: Int32 = 4) throws(SystemCallError) -> Descriptor {
    let raw = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | 0o2_000_000, 0)
    guard raw >= 0 else { throw SystemCallError("socket", path, code: errno) }
    let descriptor = Descriptor(owning: raw)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
    let bound = withUnsafePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            bind(raw, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
        }
    }
    guard bound == 0, listen(raw, count) == 0 else { throw SystemCallError("listen at", path, code: errno) }
    return descriptor
}

/// Waits until somebody answers at `socket`, which the process is to serve; false when it has ended, or does not in a minute.
func isServed(_ socket: String, by process: Process) -> Bool {
    let deadline = Deadline(after: .seconds(60))
    while (try? UnixSocket.connect(to: socket, until: deadline)) == nil {
        guard !deadline.hasPassed, process.isRunning else { return false }
        usleep(20_000)
    }
    return true
}
