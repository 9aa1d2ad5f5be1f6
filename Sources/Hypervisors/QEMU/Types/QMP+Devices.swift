extension QMP {
    /// PciInfo: a PCI bus in query-pci.
    struct PCIBus: Decodable, Sendable {
        let bus: Int64
        let devices: [PCIDevice]
    }

    /// PciDeviceInfo.
    struct PCIDevice: Decodable, Sendable {
        let slot: Int64
        let function: Int64
        /// Empty for a device without one.
        let id: String

        enum CodingKeys: String, CodingKey {
            case slot, function
            case id = "qdev_id"
        }
    }

    /// The arguments of device_add; nil ones are not sent. QEMU wants `addr` and `port` as text, and the
    /// SCSI numbers as numbers.
    struct Device: Encodable, Hashable, Sendable {
        var driver: String
        var bus: String
        var addr: String?
        var channel: Int?
        var scsiID: Int?
        var lun: Int?
        var port: String?
        var removable: Bool?
        var id: String?
        /// The name of the block node.
        var drive: String?
        var serial: String?
        /// The id of the sound backend.
        var audiodev: String?
        /// The address of a PCI function of the host's.
        var host: String?
        /// The node of a USB device of the host.
        var hostdevice: String?
        /// The id of a character device.
        var chardev: String?
        /// Which devices may come over it, as usb-redir has it.
        var filter: String?
        /// What becomes of a request that fails to write, and to read.
        var werror: String?
        var rerror: String?

        enum CodingKeys: String, CodingKey {
            case driver, bus, addr, channel, lun, port, removable, id, drive, serial, audiodev, host, hostdevice
            case chardev, filter, werror, rerror
            case scsiID = "scsi-id"
        }
    }

    /// The argument of device_del.
    struct DeviceID: Encodable, Sendable {
        let id: String
    }

    /// The arguments of qom-list, and with a property those of qom-get.
    struct ObjectPath: Encodable, Sendable {
        let path: String
        var property: String?
    }
}
