/// How an assignment names its device: `source:port[:identity]`, with `*` for either of the last two, never both.
public struct DeviceReference: Hashable, Sendable, CustomStringConvertible {
    /// The kind of the device.
    public let deviceClass: DeviceClass
    /// Who exposes it.
    public let source: VMName
    /// Where it is plugged; nil (`*`) means anywhere.
    public let port: Port?
    /// Which device it is; nil (`*`) means whatever is in the port.
    public let identity: DeviceIdentity?

    /// A reference by port, with the identity if that matters.
    public init(_ deviceClass: DeviceClass, source: VMName, port: Port, identity: DeviceIdentity? = nil) {
        self.deviceClass = deviceClass
        self.source = source
        self.port = port
        self.identity = identity
    }

    /// A reference to the one device with that identity, in whatever port.
    public init(_ deviceClass: DeviceClass, source: VMName, identity: DeviceIdentity) {
        self.deviceClass = deviceClass
        self.source = source
        self.port = nil
        self.identity = identity
    }

    /// Reads `source:port[:identity]`; colons inside a PCI port (`dom0:0000:00:1f.2`) are understood.
    public init(parsing text: some StringProtocol, of deviceClass: DeviceClass) throws(SyntaxError) {
        // By bytes: a table has thousands of these, and where a character ends is costly to find out; and of a type that is
        // known.
        let text = String(text)
        guard let colon = text.utf8.firstIndex(of: DeviceReference.colon) else {
            throw SyntaxError(
                "device", text,
                expected:
                    "SOURCE:PORT or SOURCE:PORT:IDENTITY, such as dom0:\(DeviceReference.example(of: deviceClass))")
        }
        let source = try VMName(text[..<colon])
        let rest = text[text.index(after: colon)...]
        let (portText, identityText) = DeviceReference.split(rest, of: deviceClass)
        let identity = try identityText.flatMap { text throws(SyntaxError) in
            text == "*" ? nil : try DeviceIdentity(text)
        }
        if portText != "*" {
            self.init(deviceClass, source: source, port: try Port(portText, of: deviceClass), identity: identity)
        } else if let identity {
            self.init(deviceClass, source: source, identity: identity)
        } else {
            throw SyntaxError(
                "device", text, expected: "a port or an identity: '*' can stand for one of them, not for both")
        }
    }

    /// `dom0:sda1`, `dom0:sda1:usb-…`, `dom0:*:usb-…`.
    public var description: String {
        "\(source):\(port?.description ?? "*")" + (identity.map { ":\($0)" } ?? "")
    }

    /// How much it pins down, in Qubes's order: port and identity, then port, then identity.
    public var specificity: Int {
        port == nil ? 1 : identity == nil ? 2 : 3
    }

    /// An example port of the class.
    public static func example(of deviceClass: DeviceClass) -> String {
        switch deviceClass {
        case .block: "sda1"
        case .usb: "2-1"
        case .pci: "00_1f.2"
        case .mic: "mic"
        }
    }

    private static func split(
        _ text: Substring, of deviceClass: DeviceClass
    ) -> (port: Substring, identity: Substring?) {
        if deviceClass == .pci {
            let colons = text.utf8.indices.filter { text.utf8[$0] == colon }
            for colon in colons.dropFirst().prefix(2) where (try? Port(text[..<colon], of: .pci)) != nil {
                return (text[..<colon], text[text.index(after: colon)...])
            }
            if (try? Port(text, of: .pci)) != nil { return (text, nil) }
        }
        guard let end = text.utf8.firstIndex(of: colon) else { return (text, nil) }
        return (text[..<end], text[text.utf8.index(after: end)...])
    }

    private static let colon = UInt8(ascii: ":")
}
