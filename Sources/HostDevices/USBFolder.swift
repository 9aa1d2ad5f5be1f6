internal import Devices
internal import Platform

/// The folder of one USB device below /sys, read as the kernel shows it.
struct USBFolder {
    /// Where it is, root included and links resolved.
    let path: String

    /// The device in a port; nil when there is none.
    init?(port: Port, root: Root) {
        guard let path = try? resolved(root.path("/sys/bus/usb/devices/\(port)")) else { return nil }
        self.path = path
    }

    /// A folder whose links are resolved.
    init(path: String) { self.path = path }

    /// The kernel's name for the device; nil for a root hub, which is in no port.
    var port: Port? { path.split(separator: "/").last.flatMap { try? Port($0, of: .usb) } }
    /// The number of its bus, from 1 on.
    var bus: Int? { text("busnum").flatMap { Int($0) } }
    /// Its number on that bus, from 1 to 127; another one after each plug.
    var address: Int? { text("devnum").flatMap { Int($0) } }
    /// The number of its node.
    var number: Device.Number? { text("dev").flatMap { Device.Number(text: $0.utf8) } }
    /// Whether it is a hub (USB 2.0, table 9-8).
    var isHub: Bool { text("bDeviceClass") == "09" }
    /// Whether the host lets anybody use it; an administrator or USBGuard may say no.
    var isAuthorized: Bool { text("authorized") != "0" }
    /// What it says that it is.
    var descriptors: USBDescriptors? {
        (try? contents(of: "\(path)/descriptors", limit: USBDescriptors.maximumSize)).flatMap(USBDescriptors.init)
    }
    /// Its interfaces that are in use now, with their folders.
    var interfaces: [String] {
        // `2-1.4:1.0` is an interface of `2-1.4`.
        let prefix = (port?.description ?? "") + ":"
        return ((try? names(in: path)) ?? []).filter { $0.hasPrefix(prefix) }.map { "\(path)/\($0)" }
    }

    /// An attribute, without the line break at its end; nil when it is not there, cannot be read, or is empty.
    func text(_ attribute: String) -> String? { BlockFolder(path: path).text(attribute) }
}

/// What a USB device says that it is, in its own descriptors (USB 2.0, chapter 9.6). Nothing of it is to be trusted.
struct USBDescriptors: Equatable {
    /// Its maker's number.
    let vendor: UInt16
    /// Its model's number.
    let product: UInt16
    /// Class, subclass and protocol of each interface of any configuration, each once and in order, as udev's
    /// ID_USB_INTERFACES has them: `080650`.
    let interfaces: [String]

    /// The most that the kernel gives: the device and eight configurations of 64 KiB.
    static let maximumSize = 18 + 8 * 65_536

    /// Reads them; nil for what is no device's.
    init?(_ bytes: [UInt8]) {
        guard bytes.count >= 18, bytes.element(1) == 1,
            let vendor = USBDescriptors.number(bytes, at: 8), let product = USBDescriptors.number(bytes, at: 10)
        else { return nil }
        self.vendor = vendor
        self.product = product
        var interfaces: [String] = []
        var rest = bytes[...]
        // A length below 2 would lead nowhere.
        while let length = rest.first.map(Int.init), length >= 2, length <= rest.count {
            let descriptor = rest.prefix(length)
            rest = rest.dropFirst(length)
            guard descriptor.element(1) == 4, descriptor.count >= 9 else { continue }
            let code = descriptor.dropFirst(5).prefix(3).map { hexadecimal($0, digits: 2) }.joined()
            if !interfaces.contains(code) { interfaces.append(code) }
        }
        self.interfaces = interfaces
    }

    /// Whether one of its interfaces is a keyboard (HID 1.11: class 3, boot protocol 1).
    var isKeyboard: Bool { interfaces.contains("030101") }

    /// `vendor:product:serial:interfaces`, as Qubes OS forms it: `46f4:0001:SN0001:u080650`.
    ///
    /// A serial number is cut to 126 bytes and the interfaces to 16, so that any device has an identity.
    func identity(serial: String?) -> DeviceIdentity? {
        let serial = printable(serial ?? "", limit: 126)
        var cut = serial
        while cut.utf8.count > 126 { cut.removeLast() }
        let codes = interfaces.prefix(16).map { "u\($0)" }.joined()
        return try? DeviceIdentity(
            "\(hexadecimal(vendor, digits: 4)):\(hexadecimal(product, digits: 4)):\(cut):\(codes)")
    }

    private static func number(_ bytes: [UInt8], at offset: Int) -> UInt16? {
        guard let low = bytes.element(offset), let high = bytes.element(offset + 1) else { return nil }
        return UInt16(low) | UInt16(high) << 8
    }
}

private func hexadecimal(_ number: some BinaryInteger, digits: Int) -> String {
    let text = String(number, radix: 16)
    return String(repeating: "0", count: max(0, digits - text.utf8.count)) + text
}
