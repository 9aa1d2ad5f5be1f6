/// Where a VM that exposes devices answers: `vsock:3:4900`, `tcp:127.0.0.1:4900`, `tcp:[fe80::1]:4900`, `unix:/run/…`.
public enum SourceAddress: Hashable, Sendable, CustomStringConvertible {
    /// A socket between a host and its VMs (vsock(7)): the VM's number and the port on it.
    case vsock(cid: UInt32, port: UInt32)
    /// An IP address and a port. No name: looking one up has no deadline.
    case tcp(host: String, port: UInt16)
    /// A socket in the file system.
    case unix(path: String)

    /// How many channels lie beside an address: those with the numbers from 1 to this.
    public static let channels = 999

    /// What an address looks like, for messages.
    public static let expectation =
        "vsock:CID:PORT, tcp:IP-ADDRESS:PORT or unix:/PATH, such as vsock:3:4900 (\(channels) ports above it are used as well)"

    /// Reads an address. A path has at most 100 bytes, so that those of the channels fit into a socket's address.
    public init(_ text: some StringProtocol) throws(SyntaxError) {
        guard let address = SourceAddress(parsing: String(text)) else {
            throw SyntaxError("source address", text, expected: SourceAddress.expectation)
        }
        self = address
    }

    /// Reads where the host listens for what its source VMs announce; 2 is the host's own number there.
    public init(announcement text: String) throws(SyntaxError) {
        if text.hasPrefix("vsock:2:"), let port = SourceAddress.number(text.dropFirst(8)), port < UInt32.max {
            self = .vsock(cid: 2, port: port)
        } else {
            self = try SourceAddress(text)
        }
    }

    private init?(parsing text: String) {
        guard let colon = text.firstIndex(of: ":") else { return nil }
        let rest = text[text.index(after: colon)...]
        if text[..<colon] == "unix" {
            guard rest.hasPrefix("/"), !rest.hasSuffix("/"), rest.utf8.count <= 100, printable(rest) == rest else {
                return nil
            }
            self = .unix(path: String(rest))
            return
        }
        guard let last = rest.lastIndex(of: ":"), let port = SourceAddress.number(rest[rest.index(after: last)...])
        else { return nil }
        let place = rest[..<last]
        switch text[..<colon] {
        case "vsock":
            // 0 to 2 are the hypervisor, this machine itself and the host; the last number means any.
            guard let cid = SourceAddress.number(place), cid > 0, cid < UInt32.max,
                port <= UInt32.max - 1 - UInt32(SourceAddress.channels)
            else { return nil }
            self = .vsock(cid: cid, port: port)
        case "tcp":
            guard let short = UInt16(exactly: port), Int(short) + SourceAddress.channels <= 65_535 else {
                return nil
            }
            let isBracketed = place.hasPrefix("[") && place.hasSuffix("]")
            let host = isBracketed ? place.dropFirst().dropLast() : place
            let allowed = isBracketed ? "0123456789abcdefABCDEF:.%" : "0123456789."
            guard !host.isEmpty, host.utf8.count <= 64, host.allSatisfy({ allowed.contains($0) }),
                host.contains(":") == isBracketed
            else { return nil }
            self = .tcp(host: String(host), port: short)
        default: return nil
        }
    }

    /// A whole number above 0, written the one usual way.
    private static func number(_ text: some StringProtocol) -> UInt32? {
        guard let number = UInt32(text), number > 0, String(number) == String(text) else { return nil }
        return number
    }

    /// The address of a channel beside this one, from 1 to `channels`; nil for another number.
    ///
    /// The device's data come over a channel. Only its number is told by the VM: so it cannot lead anybody elsewhere.
    public func channel(_ number: Int) -> SourceAddress? {
        guard (1...SourceAddress.channels).contains(number) else { return nil }
        return switch self {
        case .vsock(let cid, let port): .vsock(cid: cid, port: port + UInt32(number))
        case .tcp(let host, let port): .tcp(host: host, port: port + UInt16(number))
        case .unix(let path): .unix(path: "\(path).\(number)")
        }
    }

    /// The same with a path below that of a root; "" for the root itself.
    public func below(_ root: String) -> SourceAddress {
        if case .unix(let path) = self { .unix(path: root + path) } else { self }
    }

    /// The channel of a device: the same at every start of the source VM, so that who lost it finds it there again.
    public static func channel(for port: Port, of deviceClass: DeviceClass) -> Int {
        Int(fingerprint(of: "\(deviceClass) \(port)") % UInt64(channels)) + 1
    }

    /// As it is written in vmdev.conf.
    public var description: String {
        switch self {
        case .vsock(let cid, let port): "vsock:\(cid):\(port)"
        case .tcp(let host, let port): host.contains(":") ? "tcp:[\(host)]:\(port)" : "tcp:\(host):\(port)"
        case .unix(let path): "unix:\(path)"
        }
    }
}

/// A number that stands for a text wherever and whenever it is computed (FNV-1a); not against somebody who wants two texts
/// to have the same.
public func fingerprint(of text: some StringProtocol) -> UInt64 {
    text.utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
}
