/// How much one side takes from the other. A source VM is untrusted; beyond these it is not listened to.
public enum ExportLimits {
    /// The version of the protocol; the other side has to speak the same.
    public static let version = 1
    /// The longest request with its line break, in bytes.
    public static let requestLine = 4096
    /// The longest answer with its line break, in bytes.
    public static let replyLine = 1 << 20
    /// Devices in one list, and live exports in one status.
    public static let devices = 1024
    /// Identities of one device.
    public static let identities = 8
    /// Uses, `alone` and `beneath` of one device, each.
    public static let relations = 32
    /// Bytes of a text that a human reads.
    public static let text = 1024
    /// Bytes of a name that stands for a thing in locks.
    public static let key = 96
    /// Bytes of an instance.
    public static let instance = 96
    /// Bytes of a serial number.
    public static let serial = 20
    /// The largest disk, in bytes: what QEMU can have.
    public static let size = UInt64(Int64.max)
}

/// Why a line of the other side is not understood; what it says of the line is printable.
public struct ExportSyntaxError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What is wrong, as half a sentence.
    public let description: String

    init(_ description: String) { self.description = description }
}
