public import Devices

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

    /// The path of the table, or what stands in its place.
    public let file: String
    /// The line, from 1; 0 in a store that has no lines.
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
        return line == 0 ? "\(file): \(message)" : "\(file):\(line):\(place) \(message)"
    }

    /// Describes a row of a store that has no lines, such as qubesd; `message` is made printable.
    public init(in store: String, target: VMName, _ message: String) {
        file = store
        line = 0
        self.target = target.description
        field = nil
        self.message = printable(message, limit: 1024)
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
