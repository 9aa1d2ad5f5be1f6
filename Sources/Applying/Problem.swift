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
    /// Whether it may heal by itself: the device, or who exposes it, is not there yet.
    public let isLate: Bool
    /// Whether it keeps the VM from starting, whatever the assignment's mode says.
    let isGrave: Bool
    /// How long it was waited for in vain; nil when it was not.
    public private(set) var waited: Duration?
    /// How long the next start would wait for it at most; nil when it would not.
    public private(set) var wait: Duration?

    /// Describes a problem; `message` and `remedy` are made printable.
    public init(
        _ reason: Reason, _ assignment: Assignment? = nil, _ message: String, remedy: String = "",
        isLate: Bool = false, isGrave: Bool = false
    ) {
        self.reason = reason
        self.assignment = assignment
        self.message = printable(message, limit: 2048)
        self.remedy = printable(remedy, limit: 2048)
        self.isLate = isLate
        self.isGrave = isGrave
    }

    /// Message and remedy as one text.
    public var text: String {
        let past = waited.map { " (waited \(spoken($0)) for it)" } ?? ""
        let future = wait.map { " (a start would wait for it, \(atMost($0)))" } ?? ""
        return sentences(message + past + future, remedy)
    }

    /// Whether the VM can start all the same.
    public var isTolerable: Bool { !isGrave && assignment.map { $0.mode != .required } ?? false }

    /// The same after it was waited for in vain.
    func after(waiting duration: Duration) -> Problem {
        var problem = self
        problem.waited = duration
        return problem
    }

    /// The same before it is waited for.
    func before(waiting duration: Duration) -> Problem {
        var problem = self
        problem.wait = duration == .zero ? nil : duration
        return problem
    }
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
            case .incapable: .incapable
            case .noAgent: .agentMissing
            case .notUnderstood: .notUnderstood
            case .notVerified: .notVerified
            }
        self.init(reason, assignment, error.message, remedy: error.remedy ?? "")
    }

    /// What the source said.
    init(_ error: SourceError, _ assignment: Assignment) {
        let reason: Reason =
            switch error.kind {
            case .unreadable, .notYet: .sourceUnreadable
            case .forbidden: .permission
            case .gone, .noMedium: .deviceMissing
            case .changed: .deviceReplaced
            case .inUse(.atSource): .usedBySource
            case .inUse: .usedByHost
            case .readOnlyOnly: .deviceReadOnly
            case .unfit: .deviceUnfit
            case .notRunning: .sourceNotRunning
            case .silent: .sourceSilent
            case .notUnderstood: .notUnderstood
            case .exported: .exported
            case .unknown: .sourceUnknown
            case .unreachable: .unreachable
            }
        // A source VM's own trouble names no device.
        let isAboutSource = [.notRunning, .silent, .notUnderstood, .unknown, .unreachable].contains(error.kind)
        // A source VM may be booting still.
        let isLate = [.notYet, .notRunning, .silent].contains(error.kind)
        let message = isAboutSource ? "\(Problem.subject(assignment)): \(error.message)" : error.message
        self.init(reason, assignment, message, remedy: error.remedy ?? "", isLate: isLate)
    }

    /// A wrong row.
    public init(_ problem: TableProblem) {
        self.init(
            .tableWrong, nil, problem.description,
            remedy: "Correct that line, or remove it; 'vmdevctl verify' checks the whole table.")
    }

    /// The table as a whole.
    public init(_ error: TableError) {
        let reason: Reason =
            switch error.kind {
            case .forbidden: .permission
            case .unreachable: .unreachable
            case .refused, .unsupported: .refused
            case .notUnderstood: .notUnderstood
            case .unreadable, .unwritable, .busy, .changedMeanwhile, .malformed: .tableUnreadable
            }
        self.init(reason, nil, error.description)
    }
}

/// Both as sentences, each with its full stop, whoever wrote them.
public func sentences(_ message: String, _ remedy: String?) -> String {
    [message, remedy ?? ""].filter { !$0.isEmpty }.map { text in
        text.last.map { ".!?".contains($0) } == true ? text : text + "."
    }.joined(separator: " ")
}

/// A span of time as a reader takes it in: whole seconds, or milliseconds below one; never more than it was.
func spoken(_ duration: Duration) -> String {
    let (seconds, attoseconds) = duration.components
    return seconds >= 1 ? "\(seconds) s" : "\(attoseconds / 1_000_000_000_000_000) ms"
}

/// The same as a limit.
func atMost(_ duration: Duration) -> String {
    duration == TimeSpan.infinity.duration ? "however long it takes" : "\(spoken(duration)) at most"
}
