/// Which device it is, wherever it is plugged.
///
/// A block device's is its name under /dev/disk/by-id, or the path of the file behind a loop device; a USB device's is
/// `vendor:product:serial:interfaces`; a PCI device's `vendor:device:subsystem`.
public struct DeviceIdentity: Hashable, Sendable, Comparable, CustomStringConvertible {
    /// The identity itself.
    public let description: String

    /// The longest identity, in bytes.
    public static let maximumLength = 255

    /// Reads an identity: 1 to 255 bytes of printable text.
    public init(_ text: some StringProtocol) throws(SyntaxError) {
        guard !text.isEmpty, text != "*", text.utf8.count <= DeviceIdentity.maximumLength,
            printable(text, limit: 255) == String(text)
        else {
            throw SyntaxError("device identity", text, expected: "1 to 255 bytes of printable text")
        }
        description = String(text)
    }

    /// By character.
    public static func < (left: DeviceIdentity, right: DeviceIdentity) -> Bool {
        left.description < right.description
    }
}
