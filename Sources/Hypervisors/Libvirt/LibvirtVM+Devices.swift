internal import Devices
internal import Platform

/// The devices of the host that are no disks: what libvirt is told of them, and whether they have arrived.
extension LibvirtVM {
    /// A USB device by the numbers that the kernel gave this very plug of it: by vendor and product libvirt would choose
    /// by itself, and with `startupPolicy` it would leave out what is not there.
    func usb(_ node: String, _ request: AttachRequest) throws(HypervisorError) -> XMLElement {
        guard let (bus, device) = LibvirtVM.usbNumbers(node) else {
            throw HypervisorError(.refused, "VM \(name): \(request.device.name) has gone (\(node))")
        }
        return XMLElement(
            "hostdev", ["mode": "subsystem", "type": "usb"],
            [
                XMLElement(
                    "source", [:], [XMLElement("address", ["bus": String(bus), "device": String(device)])]),
                XMLElement("alias", ["name": request.id.alias]),
            ])
    }

    /// "/dev/bus/usb/001/004".
    static func usbNumbers(_ node: String) -> (bus: Int, device: Int)? {
        let parts = node.split(separator: "/").suffix(2)
        guard let bus = parts.first.flatMap({ Int($0) }), let device = parts.last.flatMap({ Int($0) }) else {
            return nil
        }
        return (bus, device)
    }

    /// Makes sure that what we have open is still what that node is: numbers are given anew, and libvirt goes by them.
    func checkAgain(_ node: String, _ claim: Descriptor, _ request: AttachRequest) throws(HypervisorError) {
        do {
            _ = try claim.read(upTo: 1)
            if try resolved("/proc/self/fd/\(claim.raw)") == node { return }
        } catch {
            guard error.isUnplugged || error.isMissing else {
                throw HypervisorError(
                    .notVerified, "VM \(name): \(request.device.name) cannot be looked at: \(error)")
            }
        }
        throw HypervisorError(
            .notVerified, "VM \(name): \(request.device.name) was plugged out while it was being attached",
            remedy: "Plug it in and try again")
    }

    /// A function that we have bound to vfio-pci. `managed` lets libvirt keep its own account of it.
    func function(_ pci: Device.PCI, _ request: AttachRequest) throws(HypervisorError) -> XMLElement {
        guard let place = LibvirtPCIAddress(pci.address) else {
            throw HypervisorError(.refused, "VM \(name): \(request.device.name) has no PCI address that is known")
        }
        return XMLElement(
            "hostdev", ["mode": "subsystem", "type": "pci", "managed": "yes"],
            [
                XMLElement("driver", ["name": "vfio"]), XMLElement("source", [:], [place.element]),
                XMLElement("alias", ["name": request.id.alias]),
            ])
    }

    /// What is wrong with a USB device in the live description; nil when nothing is.
    func objection(toUSB element: XMLElement, _ usb: Device.USB) -> String? {
        guard element.name == "hostdev", element["type"] == "usb",
            let address = element.first("source")?.first("address"), let numbers = LibvirtVM.usbNumbers(usb.node)
        else { return "the device of its name is no USB device of the host" }
        guard address["bus"].flatMap(LibvirtDescription.number) == numbers.bus,
            address["device"].flatMap(LibvirtDescription.number) == numbers.device
        else { return "it is device \(address["device"] ?? "") of bus \(address["bus"] ?? "")" }
        guard element.first("address") != nil else { return "it has no place in the machine" }
        return isOpen(usb.node, in: process.pid) == false ? "its QEMU does not have \(usb.node) open" : nil
    }

    /// The same of a PCI function.
    func objection(toFunction element: XMLElement, _ pci: Device.PCI) -> String? {
        guard element.name == "hostdev", element["type"] == "pci",
            let address = element.first("source")?.first("address")
        else { return "the device of its name is no PCI device of the host" }
        guard let found = LibvirtPCIAddress(address), found == LibvirtPCIAddress(pci.address) else {
            return "it is another one of the host's"
        }
        guard element.first("address") != nil else { return "it has no place in the machine" }
        guard let group = pci.group, isOpen("/dev/vfio/\(group)", in: process.pid) == false else { return nil }
        return "its QEMU does not have /dev/vfio/\(group) open"
    }
}

/// Where a PCI function is, in libvirt's numbers.
struct LibvirtPCIAddress: Equatable {
    private let numbers: [Int]

    /// "0000:00:1f.2".
    init?(_ text: String) {
        let parts = text.split(whereSeparator: { $0 == ":" || $0 == "." }).map { Int($0, radix: 16) }
        guard parts.count == 4 else { return nil }
        numbers = parts.compactMap(\.self)
        guard numbers.count == 4 else { return nil }
    }

    /// `<address domain='0x0000' bus='0x00' slot='0x1f' function='0x2'/>`.
    init?(_ element: XMLElement) {
        numbers = LibvirtPCIAddress.names.compactMap { element[$0].flatMap(LibvirtDescription.number) }
        guard numbers.count == 4 else { return nil }
    }

    private static let names = ["domain", "bus", "slot", "function"]

    var element: XMLElement {
        XMLElement(
            name: "address",
            attributes: zip(LibvirtPCIAddress.names, numbers).map {
                XMLElement.Attribute(name: $0, value: "0x" + String($1, radix: 16))
            }, children: [], text: "")
    }
}
