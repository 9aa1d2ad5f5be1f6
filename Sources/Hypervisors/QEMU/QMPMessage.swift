internal import Devices
internal import Platform

/// One command of the QEMU Machine Protocol.
struct QMPCommand: Sendable {
    /// Its name in QEMU's QAPI schema.
    let name: String
    /// Its arguments, of exactly the types of the schema.
    let arguments: [String: JSONValue]
    /// A descriptor that goes with it.
    let passing: Descriptor?

    init(_ name: String, _ arguments: [String: JSONValue] = [:], passing: Descriptor? = nil) {
        self.name = name
        self.arguments = arguments
        self.passing = passing
    }

    /// The line that is sent; members in order, so that equal commands are equal lines.
    func line(id: Int64) -> [UInt8] {
        var message: [String: JSONValue] = ["execute": .string(name), "id": .integer(id)]
        if !arguments.isEmpty { message["arguments"] = .object(arguments) }
        return Array((JSONValue.object(message).text + "\n").utf8)
    }
}

/// Something that happened in the VM, told without being asked.
struct QMPEvent: Sendable {
    let name: String
    let data: JSONValue
}

/// One line from QEMU.
enum QMPMessage: Sendable {
    case greeting
    case event(QMPEvent)
    case reply(id: Int64?, Result<JSONValue, QMPError>)

    /// Reads one line; what is none of the three kinds is undecodable.
    init(line: [UInt8]) throws(QMPError) {
        guard let value = JSONParser.parse(line) else { throw .undecodable("a line that is not JSON", raw: line) }
        if value["QMP"]?.object != nil {
            self = .greeting
        } else if let name = value["event"]?.string {
            self = .event(QMPEvent(name: name, data: value["data"] ?? .null))
        } else if let result = value["return"] {
            self = .reply(id: value["id"]?.integer, .success(result))
        } else if let error = value["error"], let kind = error["class"]?.string, let text = error["desc"]?.string {
            self = .reply(id: value["id"]?.integer, .failure(.server(class: kind, description: text)))
        } else {
            throw .undecodable("a message of no known kind", raw: line)
        }
    }
}

/// Why a QMP command has no result: we could not ask, it said no, or we did not understand the answer.
enum QMPError: Error, Equatable, CustomStringConvertible {
    /// No connection, or no answer in time; a reason in words.
    case transport(String)
    /// QEMU's own error: its class of the QAPI schema and its text.
    case server(class: String, description: String)
    /// What came, described, and the first of its bytes.
    case undecodable(String, raw: [UInt8])

    /// How many bytes of an undecodable answer are kept.
    static let keptBytes = 512

    var description: String {
        switch self {
        case .transport(let reason): reason
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
