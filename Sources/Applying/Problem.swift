public import Assignments
public import Devices
internal import HostDevices
public import Hypervisors

/// One reason why a VM cannot have one of its devices, or any: what, why, and what to do.
public struct Problem: Error, Equatable, Sendable {
    /// The fixed word.
    public let reason: Reason
    /// The assignment it is about; nil when it is about the VM as a whole.
    public let assignment: Assignment?
    /// The thing and the reason, as a sentence without its full stop.
    public let message: String
    /// What to do, as a sentence; empty when there is nothing to say.
    public let remedy: String

    /// Describes a problem; `message` and `remedy` are made printable.
    public init(_ reason: Reason, _ assignment: Assignment? = nil, _ message: String, remedy: String = "") {
        self.reason = reason
        self.assignment = assignment
        self.message = printable(message, limit: 2048)
        self.remedy = printable(remedy, limit: 2048)
    }

    /// Message and remedy as one text.
    public var text: String { sentences(message, remedy) }

    /// Whether the VM can start all the same.
    public var isTolerable: Bool { assignment?.mode == .autoAttach }
}

extension Problem {
    /// What the hypervisor said.
    public init(_ error: HypervisorError, _ assignment: Assignment? = nil) {
        let reason: Reason =
            switch error.kind {
            case .notRunning: .notRunning
            case .unreachable: .unreachable
            case .forbidden: .permission
            case .wrongVM: .wrongVM
            case .refused: .refused
            case .taken: .taken
            case .noRoom: .noRoom
            case .unsupported: .optionUnsupported
            case .notUnderstood: .notUnderstood
            case .notVerified: .notVerified
            }
        self.init(reason, assignment, error.message, remedy: error.remedy ?? "")
    }

    /// What the source said.
    init(_ error: SourceError, _ assignment: Assignment) {
        let reason: Reason =
            switch error.kind {
            case .unreadable: .sourceUnreadable
            case .forbidden: .permission
            case .gone, .noMedium: .deviceMissing
            case .changed: .deviceReplaced
            case .inUse: .usedByHost
            case .readOnlyOnly: .deviceReadOnly
            case .unfit: .deviceUnfit
            }
        self.init(reason, assignment, error.message, remedy: error.remedy ?? "")
    }

    /// A wrong row.
    public init(_ problem: TableProblem) {
        self.init(
            .tableWrong, nil, problem.description,
            remedy: "Correct that line, or remove it; 'vmdevctl verify' checks the whole table.")
    }

    /// The table as a whole.
    public init(_ error: TableError) {
        self.init(error.kind == .forbidden ? .permission : .tableUnreadable, nil, error.description)
    }
}

/// Both as sentences, each with its full stop, whoever wrote them.
public func sentences(_ message: String, _ remedy: String?) -> String {
    [message, remedy ?? ""].filter { !$0.isEmpty }.map { text in
        text.last.map { ".!?".contains($0) } == true ? text : text + "."
    }.joined(separator: " ")
}
