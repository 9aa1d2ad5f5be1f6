internal import Devices

/// A row of the table that is wrong.
public struct TableProblem: Error, Hashable, Sendable, CustomStringConvertible {
    /// The fields of a row, in their order.
    public enum Field: String, CaseIterable, Sendable {
        /// The VM that gets the device.
        case target
        /// The kind of the device.
        case deviceClass = "class"
        /// Which device.
        case device
        /// What happens when it is not available.
        case mode
        /// How it is attached.
        case options

        var number: Int { (Field.allCases.firstIndex(of: self) ?? 0) + 1 }
    }

    /// The path of the table.
    public let file: String
    /// The line, from 1.
    public let line: Int
    /// The VM that the row names, in printable form; nil when none can be made out, so that it could be any.
    public let target: String?
    /// The field that is wrong; nil when the row as a whole is.
    public let field: Field?
    /// What is wrong and what was expected.
    public let message: String

    /// "/etc/vmdev/assignments:12: in field 4, the mode: 'maybe' is not a valid mode: expected …".
    public var description: String {
        let place = field.map { " in field \($0.number), the \($0.rawValue):" } ?? ""
        return "\(file):\(line):\(place) \(message)"
    }

    init(file: String, line: Int, target: String?, _ fault: RowFault) {
        self.file = file
        self.line = line
        self.target = target
        field = fault.field
        message = fault.message
    }
}

/// What is wrong with a row, before it is known where it stands.
struct RowFault: Error, Equatable {
    let field: TableProblem.Field?
    let message: String

    init(_ message: String) {
        field = nil
        self.message = message
    }

    init(_ field: TableProblem.Field, _ message: String) {
        self.field = field
        self.message = message
    }

    init(_ field: TableProblem.Field, _ error: SyntaxError) { self.init(field, error.description) }
}
