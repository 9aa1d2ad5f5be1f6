internal import Devices

/// Why a QMP command has no result: we could not ask, it said no, or we did not understand the answer.
enum QMPError: Error, Equatable, CustomStringConvertible {
    /// No connection, or no answer in time; a reason in words.
    case transport(String)
    /// Who passes commands on cannot pass on this one, and has not; a reason in words.
    case incapable(String)
    /// QEMU's own error: its class of the QAPI schema and its text.
    case server(class: String, description: String)
    /// What came, described, and the first of its bytes.
    case undecodable(String, raw: [UInt8])

    /// How many bytes of an undecodable answer are kept.
    static let keptBytes = 512

    var description: String {
        switch self {
        case .transport(let reason), .incapable(let reason): reason
        case .server(_, let text): "QEMU says '\(printable(text, limit: 512))'"
        case .undecodable(let what, let raw): "QEMU sent \(what): '\(printable(raw.prefix(Self.keptBytes)))'"
        }
    }

    /// Whether QEMU refused with a text that contains one of these.
    func says(_ texts: String...) -> Bool {
        guard case .server(_, let description) = self else { return false }
        return texts.contains { description.contains($0) }
    }

    /// Whether QEMU does not know what we named.
    var isMissing: Bool {
        guard case .server(let kind, _) = self else { return false }
        return kind == "DeviceNotFound" || says("not found", "Failed to find node", "Cannot find node")
    }
}
