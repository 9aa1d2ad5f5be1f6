extension QMPCommand where Reply == QMP.Nothing {
    /// device_add.
    static func plug(_ device: QMP.Device) -> QMPCommand { QMPCommand("device_add", device) }

    /// device_del: asks the guest to let the device go.
    static func unplug(_ id: String) -> QMPCommand { QMPCommand("device_del", QMP.DeviceID(id: id)) }
}

extension QMPCommand where Reply == [QMP.PCIBus] {
    /// query-pci.
    static var pci: QMPCommand { QMPCommand("query-pci") }
}

extension QMPCommand where Reply == [QOM.Entry] {
    /// qom-list.
    static func list(_ path: String) -> QMPCommand { QMPCommand("qom-list", QMP.ObjectPath(path: path)) }
}

extension QMPCommand {
    /// qom-get of a property whose type is known.
    static func get(_ property: String, of path: String) -> QMPCommand {
        QMPCommand("qom-get", QMP.ObjectPath(path: path, property: property))
    }
}
