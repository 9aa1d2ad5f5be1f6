/// Where a device goes in a QEMU machine.
enum QEMUPlace: Hashable, Sendable {
    /// The one slot of a hot-pluggable PCI Express port.
    case port(bus: String)
    /// A slot of an i440fx machine's conventional PCI bus.
    case slot(Int, bus: String)
    /// A target of a SCSI controller; its logical unit 0.
    case scsi(target: Int, bus: String)
    /// A port of a USB controller.
    case usb(port: Int, bus: String)

    /// The bus's name.
    var bus: String {
        switch self {
        case .port(let bus), .slot(_, let bus), .scsi(_, let bus), .usb(_, let bus): bus
        }
    }

    /// Slot and function on a PCI bus, as device_add takes them; nil on other buses.
    ///
    /// Without it, QEMU 7.2 puts a second device of a port into slot 1, where no guest looks, and calls it success.
    var pciAddress: String? {
        switch self {
        case .port: "0x0"
        case .slot(let slot, _): "0x" + String(slot, radix: 16)
        case .scsi, .usb: nil
        }
    }

    /// The device model that is a disk there, and what tells it its place.
    func device(isCDROM: Bool) -> QMP.Device {
        switch self {
        case .port, .slot: QMP.Device(driver: "virtio-blk-pci", bus: bus, addr: pciAddress)
        case .scsi(let target, _):
            QMP.Device(driver: isCDROM ? "scsi-cd" : "scsi-hd", bus: bus, channel: 0, scsiID: target, lun: 0)
        case .usb(let port, _):
            QMP.Device(driver: "usb-storage", bus: bus, port: String(port), removable: true)
        }
    }
}
