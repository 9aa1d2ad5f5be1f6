import Foundation
import Glibc
import Platform
import TestSupport

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
        listener = try listeningSocket(at: "\(host.root)/run/vmdev/qmp/\(vm).sock")
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
