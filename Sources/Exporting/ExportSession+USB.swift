internal import Devices
internal import ExportProtocol
internal import Glibc
internal import Platform

extension ExportSession {
    /// Serves a USB device over usbredir on this very connection, until one of the two ends closes or the device goes.
    ///
    /// By libusbredirhost, in this process: `usbredirect` 0.13 waits until it can write although it has nothing to write, which
    /// takes a whole processor for each device at rest, and wants a port of its own.
    func exportUSB(_ taken: consuming Exports.Taken) throws -> End {
        guard USBServer.isInstalled else {
            throw ExportRefusal(
                .failed, "libusbredirhost is not installed in the source VM (Debian: libusbredirhost1)")
        }
        guard let usb = taken.device.usb else {
            throw ExportRefusal(.unfit, "\(taken.device.port) is no USB device")
        }
        // Before the device is taken, so that its removal is not missed.
        let node = root.path(usb.node)
        let removal = try FolderWatch(removalsFrom: String(node[..<(node.lastIndex(of: "/") ?? node.endIndex)]))
        let device = try taken.claim.duplicate()
        let server: USBServer
        do throws(USBServer.Failure) {
            server = try USBServer(device, input: input, output: output)
        } catch {
            throw ExportRefusal(.failed, "\(taken.device.port) cannot be served: \(error.message)")
        }
        // Its disks are gone from here. Claimed they would keep their names, and be called otherwise when they come back.
        let locks = taken.locksAlone()
        try answer(.usb)
        let end = try server.run(besides: removal.descriptor) {
            _ = try removal.next(until: Deadline(after: .zero))
            return unsafe access(node, F_OK) != 0
        }
        _ = consume server
        return withExtendedLifetime(locks) { end == .peerEnded ? .host : .device }
    }
}
