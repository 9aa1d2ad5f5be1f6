internal import Devices
internal import Platform

/// The QEMU of a domain, asked through libvirt, whose alone its QMP socket is.
final class LibvirtMonitor: QMPChannel {
    private let domain: String
    private let transport: any LibvirtTransport
    /// QEMU; nil when it has ended before.
    let peer: ProcessHandle?
    private var answers: [UInt8] = []

    init(of domain: String, _ process: ProcessIdentity, by transport: any LibvirtTransport) {
        self.domain = domain
        self.transport = transport
        let handle = ProcessHandle(pid: process.pid)
        // Looked at after it is held: its number cannot have become another's.
        peer = process.isAlive ? handle : nil
    }

    /// The commands are executed when this comes back.
    func send(_ bytes: [UInt8], passing: Descriptor?, until deadline: Deadline) throws(QMPError) -> Bool {
        let lines = bytes.split(separator: UInt8(ascii: "\n")).map { String(decoding: $0, as: UTF8.self) }
        do {
            for reply in try transport.converse(with: domain, lines, passing: passing, by: deadline) {
                answers += Array(reply.utf8) + [UInt8(ascii: "\n")]
            }
        } catch {
            if case .refused(let text) = error, text.hasSuffix("doesn't support option --pass-fds") {
                throw .incapable("virsh cannot pass an open file to its QEMU; libvirt 8.2 and later can")
            }
            throw .transport("libvirt, which passes it on to its QEMU: \(error.reason)")
        }
        return true
    }

    /// Nothing comes that was not asked for.
    func read(upTo count: Int, until deadline: Deadline) throws(QMPError) -> [UInt8]? {
        let bytes = Array(answers.prefix(count))
        answers.removeFirst(bytes.count)
        if !bytes.isEmpty { return bytes }
        do { return try peer?.waitForEnd(until: deadline) == false ? nil : [] } catch {
            throw .transport("its process cannot be waited for (\(error.reason))")
        }
    }
}
