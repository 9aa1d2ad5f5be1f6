import Foundation
import Glibc
import Platform

/// Something that is no QEMU, on a VM's QMP socket.
final class FakeMonitor {
    /// How it behaves.
    enum Manner {
        /// Takes connections and never says a word, as QEMU does while another client is connected.
        case silent
        /// Says the first text at once and another for every message it gets; after the last it closes.
        case says([String])
    }

    static let greeting =
        #"{"QMP": {"version": {"qemu": {"micro": 0, "minor": 2, "major": 7}}, "capabilities": []}}"# + "\n"

    private let listener: Descriptor

    /// Listens in the place of that VM's monitor, for one client.
    init(_ manner: Manner, insteadOf vm: String, on host: ScratchHost) throws {
        let path = "\(host.root)/run/vmdev/qmp/\(vm).sock"
        let raw = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | 0o2_000_000, 0)
        guard raw >= 0 else { throw Failure("socket: errno \(errno)") }
        listener = Descriptor(owning: raw)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(raw, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard bound == 0, listen(raw, 4) == 0 else { throw Failure("listen on \(path): errno \(errno)") }
        guard case .says(let texts) = manner else { return }

        let listener = listener
        Thread.detachNewThread {
            let client = accept(listener.raw, nil, nil)
            guard client >= 0 else { return }
            let connection = UnixSocket(Descriptor(owning: client))
            let deadline = Deadline(after: .seconds(300))
            for (index, text) in texts.enumerated() {
                if index > 0 { _ = try? connection.read(upTo: 65_536, until: deadline) }
                _ = try? connection.send([UInt8](text.utf8), until: deadline)
            }
        }
    }

    // Wakes the thread, if nobody ever connected.
    deinit { shutdown(listener.raw, Int32(SHUT_RDWR)) }
}
