public import Devices
public import Platform

/// How a VM gets at a device that was claimed for it.
public enum DeviceAccess: Sendable {
    /// By an open node, whose claim lasts as long as it is open anywhere.
    case open(Descriptor)
    /// By its name.
    case byName
    /// Over NBD: a disk that another VM exports there under that name, as long as `lease` is open anywhere.
    case networkDisk(at: SourceAddress, export: String, lease: Descriptor)
    /// Over usbredir, on a connection: a USB device that another VM exports as long as that is open.
    case usbStream(Descriptor)
}
