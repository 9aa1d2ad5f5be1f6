internal import Devices
internal import ExportProtocol
internal import Glibc
internal import Platform

extension ExportSession {
    /// Serves a disk over NBD until the host closes the connection, the disk goes, or the server ends.
    ///
    /// The server gets our claimed descriptor and a socket that listens already: it needs no right to the node, nothing can
    /// change between check and use, and whoever is told of the channel can connect at once.
    func exportDisk(_ taken: borrowing Exports.Taken) throws -> End {
        let program = "qemu-nbd"
        guard ServerProcess.isInstalled(program) else {
            throw ExportRefusal(.failed, "\(program) is not installed in the source VM (Debian: qemu-utils)")
        }
        guard let block = taken.device.block else { throw ExportRefusal(.unfit, "\(taken.device.port) is no disk") }
        let port = taken.place
        let channel = SourceAddress.channel(for: port, of: .block)
        let listener = try listener(on: channel)
        defer { listener.unlink() }
        // Before the look at the node, so that its removal is not missed.
        let removal = try FolderWatch(removalsFrom: root.path("/dev"))
        let server = try ServerProcess(
            program, ExportSession.arguments(for: port, readOnly: taken.isReadOnly), socket: listener.descriptor,
            device: taken.claim)
        try answer(.disk(channel: channel, name: port.description))
        while true {
            let ready = try Descriptor.waitForAny([input, server.end, removal.descriptor])
            if ready.first != false { return .host }
            if ready.dropFirst().first != false { return .device }
            _ = try removal.next(until: Deadline(after: .zero))
            guard unsafe access(root.path(block.node), F_OK) == 0 else { return .device }
        }
    }

    private func listener(on channel: Int) throws -> Listener {
        do { return try Listener(beside: input, channel: channel) } catch {
            throw ExportRefusal(
                .failed,
                error.code == EAFNOSUPPORT
                    ? "a disk can be exported only over a socket with an address"
                    : "the channel \(channel) cannot be used: \(error.reason)")
        }
    }

    /// Each write is on the disk before the guest hears of it (`writethrough`): a source VM that dies loses what it had in
    /// its memory, and a guest that waits for it to come back would not know.
    static func arguments(for port: Port, readOnly: Bool) -> [String] {
        [
            "--persistent", "--shared=1", "--cache=writethrough", "--export-name=\(port)", "--image-opts",
            "driver=raw,file.driver=host_device,file.filename=/proc/self/fd/4",
        ] + (readOnly ? ["--read-only"] : [])
    }
}
