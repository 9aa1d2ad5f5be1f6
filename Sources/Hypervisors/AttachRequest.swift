public import Devices
public import Platform

/// Under which name the VM knows a device that we attached.
public struct AttachmentID: Hashable, Sendable, Comparable, CustomStringConvertible {
    /// The name: a letter, then letters, digits, `.`, `_` and `-`, 31 at most (what a QEMU node name takes).
    public let description: String

    /// The prefix of all that is ours.
    public static let prefix = "vmdev-"

    /// The name for a device in that port.
    public init(port: Port) { description = AttachmentID.prefix + port.description }

    /// The name for a device: that of its port on this host; on another VM with a number for class, VM and port, since two
    /// sources may have the same ports.
    public init(of device: Device) {
        self.init(port: device.port)
        guard !device.source.isHost else { return }
        let number = fingerprint(of: "\(device.source) \(device.deviceClass) \(device.port)")
        let digits = String(UInt32(truncatingIfNeeded: number ^ number >> 32), radix: 16)
        self.init(unchecked: "\(AttachmentID.prefix)\(device.port.description.prefix(16))-\(digits)")
    }

    private init(unchecked text: String) { description = text }

    /// Reads back a name that a VM told; nil for one that is not ours.
    public init?(_ text: String) {
        guard text.hasPrefix(AttachmentID.prefix), text.utf8.count <= 31 else { return nil }
        description = text
    }

    /// By character.
    public static func < (left: AttachmentID, right: AttachmentID) -> Bool { left.description < right.description }
}

/// A disk that another VM exports over NBD.
public struct NetworkDisk: Sendable {
    /// Where; a path as it is on this machine.
    public let address: SourceAddress
    /// Under which name.
    public let export: String
    /// A connection that keeps it exported as long as it is open anywhere.
    public let lease: Descriptor

    /// Describes a disk.
    public init(address: SourceAddress, export: String, lease: Descriptor) {
        self.address = address
        self.export = export
        self.lease = lease
    }
}

/// What is to be attached, and how.
public struct AttachRequest: Sendable {
    /// The device.
    public let device: Device
    /// The checked options.
    public let options: DeviceOptions
    /// Whether the guest gets it for reading only: decided from the device and the option together.
    public let readOnly: Bool
    /// The device itself, opened, re-checked and claimed by us.
    public let backing: Backing
    /// Under which name the VM will know it.
    public let id: AttachmentID

    /// How the VM gets at the device.
    public enum Backing: Sendable {
        /// An open node: of a block device with our claim on it, or of a USB device.
        case open(Descriptor)
        /// By what `device` says: a PCI function that we bound for the VM, a capture device.
        case byName
        /// A disk that another VM exports over NBD.
        case networkDisk(NetworkDisk)
        /// A connection over which another VM exports a USB device by usbredir.
        case usbStream(Descriptor)
        /// Nothing more is needed: the VM has it, and it is only to be verified.
        case alreadyThere
    }

    /// Joins what belongs to one attachment; the name comes from the device's port unless the VM knows it by another.
    public init(
        device: Device, options: DeviceOptions, readOnly: Bool, backing: Backing, id: AttachmentID? = nil
    ) {
        self.device = device
        self.options = options
        self.readOnly = readOnly
        self.backing = backing
        self.id = id ?? AttachmentID(of: device)
    }
}
