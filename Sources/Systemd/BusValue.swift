public import Platform

/// One value of a D-Bus message, of the types that we send and read.
public enum BusValue: Equatable, Sendable {
    /// `s`.
    case string(String)
    /// `o`.
    case path(String)
    /// `u`.
    case unsigned(UInt32)
    /// `i`.
    case signed(Int32)
    /// `b`.
    case boolean(Bool)
    /// What is in a structure, `(…)`, or in an array, `a…`.
    case list([BusValue])
    /// `v`.
    indirect case variant(BusValue)

    /// The text of a string or of an object's path; of a variant, that of what is in it.
    public var text: String? {
        switch self {
        case .string(let text), .path(let text): text
        case .variant(let value): value.text
        default: nil
        }
    }

    /// The values of a structure or an array.
    public var list: [BusValue]? { if case .list(let values) = self { values } else { nil } }

    /// The number of an `i` or a `u`.
    public var number: Int? {
        switch self {
        case .unsigned(let number): Int(number)
        case .signed(let number): Int(number)
        default: nil
        }
    }
}

/// Why a question over D-Bus has no answer.
public enum BusError: Error, Equatable, Sendable {
    /// There is no bus at that address, or it does not take us.
    case noBus(SystemCallError)
    /// Nobody answered before the deadline.
    case silent
    /// The connection is of no use any more, or the message could not be made.
    case broken(SystemCallError)
    /// The bus or who was asked answered with an error: its name and its text.
    case answered(name: String, text: String)
    /// The answer is not of a form that is known.
    case notUnderstood
}
