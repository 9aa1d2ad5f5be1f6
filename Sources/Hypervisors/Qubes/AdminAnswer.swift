internal import Devices

/// What qubesd answers to a call that does not go on.
public enum AdminAnswer: Equatable, Sendable {
    /// `30 00`, then the data until the end of the stream.
    case data([UInt8])
    /// `32 00`, then type, traceback (always empty, and not kept), message and what would fill it in.
    case exception(type: String, message: String, arguments: [String])
    /// Nothing at all: released 4.2 and 4.3 answer so to what they refuse, and all to what went wrong inside.
    case nothing

    /// The longest answer, in bytes.
    public static let maximumLength = 4 << 20

    /// Reads a whole answer; nil for what is none.
    public init?(parsing bytes: [UInt8]) {
        guard !bytes.isEmpty else {
            self = .nothing
            return
        }
        let body = bytes.dropFirst(2)
        switch Array(bytes.prefix(2)) {
        case [0x30, 0]: self = .data(Array(body))
        case [0x32, 0]:
            // Each field ends with NUL, so that one that was cut off is seen.
            guard body.last == 0 else { return nil }
            let fields = body.dropLast().split(separator: 0, omittingEmptySubsequences: false).map {
                printable($0, limit: 512)
            }
            guard let type = fields.first, fields.count >= 3 else { return nil }
            self = .exception(type: type, message: fields[2], arguments: Array(fields.dropFirst(3)))
        default: return nil
        }
    }

    /// The bytes of an answer, as qubesd sends them.
    public var bytes: [UInt8] {
        switch self {
        case .nothing: []
        case .data(let data): [0x30, 0] + data
        case .exception(let type, let message, let arguments):
            [0x32, 0] + ([type, "", message] + arguments).flatMap { Array($0.utf8) + [0] }
        }
    }

    /// The data, or why there is none.
    func data(of call: AdminCall) throws(QubesError) -> [UInt8] {
        switch self {
        case .data(let data): return data
        case .nothing:
            throw QubesError(
                .noAnswer, "\(call.name): qubesd refused it or had an internal error: its answer is empty",
                remedy: "See what it says itself: journalctl -u qubesd")
        case .exception(let type, let message, let arguments):
            let text = AdminAnswer.filled(message, with: arguments)
            // What a KeyError of Python's carries is shown in its quotes.
            let plain =
                text.count > 1 && text.first == "'" && text.last == "'" ? String(text.dropFirst().dropLast()) : text
            throw QubesError(.exception(type), plain.isEmpty ? "\(call.name): qubesd refused it (\(type))" : plain)
        }
    }

    /// The message with its `%s` and `%d` filled in, in order.
    private static func filled(_ message: String, with arguments: [String]) -> String {
        var rest = arguments[...]
        var result = ""
        var text = Substring(message)
        while let percent = text.firstIndex(of: "%") {
            result += text[..<percent]
            text = text[text.index(after: percent)...]
            switch text.first {
            case "s", "d", "r":
                text = text.dropFirst()
                result += rest.popFirst() ?? ""
            case "%":
                text = text.dropFirst()
                result += "%"
            default: result += "%"
            }
        }
        return result + text
    }
}
