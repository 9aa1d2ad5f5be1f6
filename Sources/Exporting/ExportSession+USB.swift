internal import Devices
internal import ExportProtocol
internal import Glibc
internal import Platform

extension ExportSession {
    /// Serves a USB device over usbredir on this very connection, until one of the two ends closes or the device goes.
    func exportUSB(_ taken: Exports.Taken) throws -> End {
        let program = "usbredirect"
        guard ServerProcess.isInstalled(program) else {
            throw ExportRefusal(.failed, "\(program) is not installed in the source VM (Debian: usbredirect)")
        }
        guard let usb = taken.device.usb, let bus = taken.device.port.description.split(separator: "-").first else {
            throw ExportRefusal(.unfit, "\(taken.device.port) is no USB device")
        }
        // usbredirect goes on when its device has gone. Before it is opened, so that its removal is not missed.
        let node = root.path(usb.node)
        let removal = try FolderWatch(removalsFrom: String(node[..<(node.lastIndex(of: "/") ?? node.endIndex)]))
        let (listener, port) = try Listener.local()
        let server = try ServerProcess(
            program, ["--device", "\(bus)-\(usb.address)", "--to", "127.0.0.1:\(port)"], device: taken.claim)
        let ready = try Descriptor.waitForAny([listener.descriptor, server.end], until: limit())
        guard ready.first == true else {
            throw ExportRefusal(.failed, "\(program) could not take \(taken.device.port)")
        }
        let local = try listener.accept()
        try answer(.usb)
        return try relay(local, until: server.end, or: removal, of: node)
    }

    private func relay(
        _ local: Descriptor, until end: Descriptor, or removal: FolderWatch, of node: String
    ) throws -> End {
        while true {
            let ready = try Descriptor.waitForAny([input, local, end, removal.descriptor])
            if ready.last == true {
                _ = try removal.next(until: Deadline(after: .zero))
                guard unsafe access(node, F_OK) == 0 else { return .device }
            }
            if ready.first == true, let closed = pass(from: input, to: local) {
                return closed == .source ? .host : .device
            }
            if ready.dropFirst().first == true {
                if let closed = pass(from: local, to: output) { return closed == .source ? .device : .host }
            } else if ready.dropFirst(2).first == true {
                return .device
            }
        }
    }

    private enum Closed { case source, destination }

    /// Passes on what has come; answers which of the two has ended.
    private func pass(from source: Descriptor, to destination: Descriptor) -> Closed? {
        guard let bytes = try? source.read(upTo: 65_536), !bytes.isEmpty else { return .source }
        return (try? destination.write(bytes)) == nil ? .destination : nil
    }
}
