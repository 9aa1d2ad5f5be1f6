public import Devices

/// Where assignments are kept.
public protocol AssignmentStore: Sendable {
    /// The assignments of one VM; a row of that VM that is wrong is among `problems`, never left out.
    func assignments(of vm: VMName) throws(TableError) -> TableReading

    /// The assignments of all VMs, with every problem that there is.
    func allAssignments() throws(TableError) -> TableReading

    /// Stores an assignment, in place of the one of the same target and device if there is one.
    func add(_ assignment: Assignment) throws(TableError) -> AddOutcome

    /// Removes the assignments that `isUnwanted` chooses, and answers them in their order.
    func remove(where isUnwanted: (Assignment) -> Bool) throws(TableError) -> [Assignment]

    /// The same among the assignments of one VM.
    func remove(from vm: VMName, where isUnwanted: (Assignment) -> Bool) throws(TableError) -> [Assignment]

    /// Why an assignment of that mode cannot be stored here, as a sentence without its full stop; nil when it can.
    func objection(to mode: AssignmentMode) -> String?
}

extension AssignmentStore {
    /// All are looked through.
    public func remove(
        from vm: VMName, where isUnwanted: (Assignment) -> Bool
    ) throws(TableError) -> [Assignment] {
        try remove { $0.target == vm && isUnwanted($0) }
    }

    /// Here is nobody who could ask.
    public func objection(to mode: AssignmentMode) -> String? {
        mode == .askToAttach ? "only Qubes OS can ask its user whether a device is to be attached" : nil
    }
}

/// What storing an assignment came to.
public enum AddOutcome: Hashable, Sendable {
    /// There was none of that target and device.
    case added
    /// There was this one, with another mode or other options.
    case changed(from: Assignment)
    /// It was stored already; nothing was written.
    case alreadySo
}

/// What was read, and what could not be.
public struct TableReading: Equatable, Sendable {
    /// The rows that are right, in the order of the table.
    public var rows: [TableRow]
    /// What is wrong; while there is anything, the VM must not start as if these were all of its rows.
    public var problems: [TableProblem]
    /// What is left to another program, or is no more than a wish that nobody can fulfil: worth telling, and in nobody's way.
    public var notes: [TableProblem]

    /// A reading with these rows and problems.
    public init(rows: [TableRow] = [], problems: [TableProblem] = [], notes: [TableProblem] = []) {
        self.rows = rows
        self.problems = problems
        self.notes = notes
    }

    /// The assignments alone.
    public var assignments: [Assignment] { rows.map(\.assignment) }
}

/// An assignment and where it stands.
public struct TableRow: Hashable, Sendable {
    /// The assignment.
    public let assignment: Assignment
    /// Its line in the table, from 1.
    public let line: Int

    /// An assignment that stands in that line.
    public init(_ assignment: Assignment, line: Int) {
        self.assignment = assignment
        self.line = line
    }
}
