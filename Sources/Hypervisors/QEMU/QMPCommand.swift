internal import FoundationEssentials
internal import Platform

/// One command of the QEMU Machine Protocol, and the type of its answer.
///
/// What the type must be able to do is asked by the functions that use it: asked here, the runtime would go through all
/// conformances of the program for every type, 0.05 ms each.
struct QMPCommand<Reply>: Sendable {
    /// What is sent.
    let request: QMPRequest

    init(_ name: String, _ arguments: (any Encodable & Sendable)? = nil, passing: Descriptor? = nil) {
        request = QMPRequest(name: name, arguments: arguments, passing: passing)
    }
}

/// What is sent for a command.
struct QMPRequest: Sendable {
    /// Its name in QEMU's QAPI schema.
    let name: String
    /// Its arguments, of exactly the types of the schema: QEMU takes 1 and "1" and 1.0 for different things.
    let arguments: (any Encodable & Sendable)?
    /// A descriptor that goes with it.
    let passing: Descriptor?

    /// What is sent for several commands. (Written out in a loop over a parameter pack, it is too much for swiftc 6.3.1.)
    static func all<Reply>(_ commands: [QMPCommand<Reply>]) -> [QMPRequest] { commands.map { $0.request } }

    /// Writes equal commands as equal lines.
    static var encoder: JSONEncoder {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return encoder
    }

    /// The line that is sent; without a number where that is somebody else's to give.
    func line(id: Int64?, by encoder: @autoclosure () -> JSONEncoder) throws(QMPError) -> [UInt8] {
        // The names of commands are ours, and have nothing to escape.
        if arguments == nil, let id { return Array("{\"execute\":\"\(name)\",\"id\":\(id)}\n".utf8) }
        do {
            return try Array(encoder().encode(Line(id: id, request: self))) + [UInt8(ascii: "\n")]
        } catch {
            throw .transport("the command '\(name)' cannot be written as JSON (\(error))")
        }
    }

    private struct Line: Encodable {
        let id: Int64?
        let request: QMPRequest

        enum CodingKeys: String, CodingKey { case execute, arguments, id }

        func encode(to encoder: any Encoder) throws {
            var members = encoder.container(keyedBy: CodingKeys.self)
            try members.encode(request.name, forKey: .execute)
            try members.encodeIfPresent(id, forKey: .id)
            if let arguments = request.arguments { try members.encode(arguments, forKey: .arguments) }
        }
    }
}
