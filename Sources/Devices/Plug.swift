/// A device of this host that was plugged in, by its number: what comes to its place later is never taken for it.
public struct Plug: Hashable, Sendable, CustomStringConvertible {
    /// Its class.
    public let deviceClass: DeviceClass
    /// Its number.
    public let number: Device.Number

    /// Names a device.
    public init(_ deviceClass: DeviceClass, _ number: Device.Number) {
        self.deviceClass = deviceClass
        self.number = number
    }

    /// Reads `class:major:minor`; what follows a further colon tells one plug from another and says nothing of the device.
    public init(parsing text: some StringProtocol) throws(SyntaxError) {
        let fields = String(text).split(separator: ":", maxSplits: 3, omittingEmptySubsequences: false)
            .map(String.init)
        let numbers = fields.dropFirst()
        guard let deviceClass = fields.first.flatMap(DeviceClass.init(rawValue:)), let major = numbers.first,
            let minor = numbers.dropFirst().first, let number = Device.Number(decimal: major, minor)
        else {
            throw SyntaxError(
                "plugged device", text, expected: "class:major:minor, such as usb:189:4 or block:8:16")
        }
        self.init(deviceClass, number)
    }

    /// `usb:189:4`.
    public var description: String { "\(deviceClass):\(number)" }

    /// Whether that is the device, under whichever of its ports.
    public func isPlug(of device: Device) -> Bool {
        device.source.isHost && device.deviceClass == deviceClass && device.number == number
    }
}

extension Device.Number {
    /// Reads decimal digits and nothing else.
    fileprivate init?(decimal major: String, _ minor: String) {
        guard (major + minor).utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }), let major = UInt32(major),
            let minor = UInt32(minor)
        else { return nil }
        self.init(major: major, minor: minor)
    }
}
