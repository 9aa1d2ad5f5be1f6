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

    /// Reads back a name that a VM told; nil for one that is not ours.
    public init?(_ text: String) {
        guard text.hasPrefix(AttachmentID.prefix), text.utf8.count <= 31 else { return nil }
        description = text
    }

    /// By character.
    public static func < (left: AttachmentID, right: AttachmentID) -> Bool { left.description < right.description }
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
        self.id = id ?? AttachmentID(port: device.port)
    }
}
