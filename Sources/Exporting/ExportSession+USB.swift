internal import Devices
internal import ExportProtocol
internal import Platform

extension ExportSession {
    /// Serves a USB device over usbredir on this very connection, until one of the two ends closes or the device goes.
    func exportUSB(_ taken: Exports.Taken) throws {
        let program = "usbredirect"
        guard ServerProcess.isInstalled(program) else {
            throw ExportRefusal(.failed, "\(program) is not installed in the source VM (Debian: usbredirect)")
        }
        guard let usb = taken.device.usb, let bus = taken.device.port.description.split(separator: "-").first else {
            throw ExportRefusal(.unfit, "\(taken.device.port) is no USB device")
        }
        let (listener, port) = try Listener.local()
        let server = try ServerProcess(
            program, ["--device", "\(bus)-\(usb.address)", "--to", "127.0.0.1:\(port)"], device: taken.claim)
        let ready = try Descriptor.waitForAny([listener.descriptor, server.end], until: limit())
        guard ready.first == true else {
            throw ExportRefusal(.failed, "\(program) could not take \(taken.device.port)")
        }
        let local = try listener.accept()
        try answer(.usb)
        try relay(local, until: server.end)
    }

    private func relay(_ local: Descriptor, until end: Descriptor) throws {
        while true {
            let ready = try Descriptor.waitForAny([input, local, end])
            if ready.first == true, try !pass(from: input, to: local) { return }
            if ready.dropFirst().first == true {
                if try !pass(from: local, to: output) { return }
            } else if ready.last == true {
                return
            }
        }
    }

    /// Passes on what has come; answers false at the end.
    private func pass(from source: Descriptor, to destination: Descriptor) throws -> Bool {
        let bytes = try source.read(upTo: 65_536)
        guard !bytes.isEmpty else { return false }
        try destination.write(bytes)
        return true
    }
}
