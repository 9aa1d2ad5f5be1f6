internal import Devices
internal import Platform

/// The physical things that a device of this host hangs on, by the keys of `CanonicalDevice`: the one home of their names.
///
/// All of it is in the device's place in the kernel's tree, so that it holds for a disk, a sound card or a network
/// interface alike: `/sys/devices/pci0000:00/0000:00:14.0/usb2/2-1/2-1.4/…` hangs on the USB device
/// `usb-pci-0000:00:14.0-usbv3-0:1.4`, on the PCI function `pci-0000:00:14.0` and on its IOMMU group `iommu-7`.
/// The device itself, where it is a USB or PCI one, is counted in.
struct PhysicalParents {
    /// The nearest USB device, named by its controller and port; hubs on the way are nobody's.
    let usb: USBPath?
    /// The addresses of all PCI functions, the nearest last; those before it are bridges.
    let addresses: [String]
    /// The IOMMU groups of these functions.
    let groups: [Int]

    /// Looks at a folder below /sys/devices: its path with the root and with all links resolved.
    init(path: String) {
        var folder = ""
        var addresses: [String] = []
        var groups: [Int] = []
        var above: [Substring] = []
        var bus: (path: String, controller: String)?
        var usb: USBPath?
        for name in path.split(separator: "/") {
            folder += "/\(name)"
            if isPCIAddress(name) {
                addresses.append(String(name))
                groups += iommuGroup(of: folder).map { [$0] } ?? []
            } else if name.hasPrefix("usb"), isNumber(name.dropFirst(3)) {
                bus = (folder, USBPath.controller(above.last, behind: addresses.last))
            } else if let bus, let port = usbPortChain(name) {
                usb = USBPath(controller: bus.controller, generation: usbGeneration(of: bus.path), port: port)
            }
            above.append(name)
        }
        self.usb = usb
        self.addresses = addresses
        self.groups = groups
    }

    /// The keys of all of them.
    var keys: [String] {
        (usb.map { [$0.key] } ?? []) + addresses.map(PhysicalParents.key(pci:))
            + groups.map(PhysicalParents.key(group:))
    }

    /// `pci-0000:00:1f.2`.
    static func key(pci address: String) -> String { "pci-\(address)" }

    /// `iommu-7`.
    static func key(group: Int) -> String { "iommu-\(group)" }
}

/// A USB port by the controller that it is on, which stays the same where the kernel numbers its buses anew:
/// `pci-0000:00:14.0-usbv3-0:1.4`, the form of udev's ID_PATH_WITH_USB_REVISION (systemd 255).
///
/// ID_PATH without the revision is not enough: port 1 of a controller's USB 2 bus and port 1 of its USB 3 bus are two
/// ports, and both are `…-usb-0:1`.
struct USBPath: Hashable, CustomStringConvertible {
    /// `pci-0000:00:14.0`, or `platform-…` for what is on no PCI bus.
    let controller: String
    /// The bus's: 1, 2 or 3; nil when the kernel does not tell.
    let generation: String?
    /// The ports from the controller on: `1.4`.
    let port: String

    /// The path form.
    var description: String { "\(controller)-usb\(generation.map { "v\($0)" } ?? "")-0:\(port)" }

    /// As ID_PATH has it.
    var withoutGeneration: String { "\(controller)-usb-0:\(port)" }

    /// The key of what is plugged there.
    var key: String { "usb-\(description)" }

    /// A controller by the folder that its bus is in, and the PCI function that it is or is behind.
    fileprivate static func controller(_ folder: Substring?, behind address: String?) -> String {
        let pci = address.map { "pci-\($0)" }
        guard let folder, folder != address.map({ $0[...] }) else { return pci ?? "platform-unknown" }
        let name = String(
            folder.map { $0.isASCII && ($0.isLetter || $0.isNumber || "._-".contains($0)) ? $0 : "_" })
        return (pci.map { "\($0)-" } ?? "") + "platform-" + name.prefix(64)
    }
}

/// The IOMMU group of the PCI function with that folder; nil where there is no IOMMU.
func iommuGroup(of folder: String) -> Int? {
    guard let group = try? resolved("\(folder)/iommu_group") else { return nil }
    return group.split(separator: "/").last.flatMap { Int($0) }
}

/// Whether it is the kernel's name of a PCI function: `0000:00:1f.2`; a segment that a driver made up has more digits.
func isPCIAddress(_ name: some StringProtocol) -> Bool {
    name.contains(":") && (try? Port(name, of: .pci)) != nil && !name.contains("_") && name.utf8.count >= 12
}

/// The ports in the kernel's name of a USB device, `1.4` of `2-1.4`; nil for any other name.
private func usbPortChain(_ name: Substring) -> String? {
    guard let first = name.utf8.first, first >= 0x30 && first <= 0x39, (try? Port(name, of: .usb)) != nil,
        !name.contains("_"), let dash = name.firstIndex(of: "-")
    else { return nil }
    return String(name[name.index(after: dash)...])
}

/// The major number of the USB release that a bus's root hub follows.
private func usbGeneration(of bus: String) -> String? {
    guard let bytes = try? Descriptor.open("\(bus)/version").read(upTo: 32) else { return nil }
    let digits = String(decoding: bytes, as: UTF8.self).drop { $0 == " " }.prefix { $0 != "." }
    return isNumber(digits) ? String(digits) : nil
}

private func isNumber(_ text: Substring) -> Bool {
    !text.isEmpty && text.utf8.count <= 5 && text.utf8.allSatisfy { $0 >= 0x30 && $0 <= 0x39 }
}
