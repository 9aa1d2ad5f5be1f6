internal import CUSBRedir
internal import Glibc
internal import Platform

/// A USB device that is served over a connection by usbredir, and taken from the drivers of this machine as long as this lives.
@safe struct USBServer: ~Copyable {
    /// Whether it goes on, and whose doing it is that it does not.
    enum Turn { case serving, peerEnded, deviceLost }

    /// Why a device cannot be served.
    struct Failure: Error { let message: String }

    /// Whether the libraries for it are here.
    static var isInstalled: Bool { vmdev_usb_is_installed() != 0 }

    private let server: OpaquePointer
    private let device: Descriptor
    private let input: Descriptor
    private let output: Descriptor

    /// Takes a device whose node is open; nothing is sent or received yet.
    init(_ device: Descriptor, input: Descriptor, output: Descriptor) throws(Failure) {
        var text = [CChar](repeating: 0, count: 200)
        guard let server = unsafe vmdev_usb_open(device.raw, input.raw, output.raw, &text, text.count) else {
            let message = text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:))
            throw Failure(message: String(decoding: message, as: UTF8.self))
        }
        unsafe self.server = server
        (self.device, self.input, self.output) = (device, input, output)
    }

    /// Serves until one of the two has ended, or `isEnded` tells so of the device, which is asked when `other` can be read.
    ///
    /// - Throws: what poll(2) says.
    func run(besides other: Descriptor, until isEnded: () throws -> Bool) throws -> Turn {
        try input.setNonBlocking()
        try output.setNonBlocking()
        while true {
            let turn = serve()
            guard turn == .serving else { return turn }
            var entries = waits()
            entries.append(pollfd(fd: other.raw, events: Int16(POLLIN), revents: 0))
            guard unsafe poll(&entries, UInt(entries.count), -1) >= 0 || errno == EINTR else {
                throw SystemCallError("poll", "the device's connection", code: errno)
            }
            if let last = entries.last, last.revents != 0, try isEnded() { return .deviceLost }
        }
    }

    private func serve() -> Turn {
        switch unsafe vmdev_usb_serve(server) {
        case VMDEV_USB_SERVING: .serving
        case VMDEV_USB_DEVICE_LOST: .deviceLost
        default: .peerEnded
        }
    }

    private func waits() -> [pollfd] {
        var waits = [pollfd](repeating: pollfd(), count: 16)
        let count = unsafe vmdev_usb_waits(server, &waits, waits.count)
        return Array(waits.prefix(count))
    }

    deinit { unsafe vmdev_usb_close(server) }
}
