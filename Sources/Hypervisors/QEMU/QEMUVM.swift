public import Devices
internal import Glibc
public import Platform

/// One QEMU process, over its QMP connection.
///
/// The connection is used by one thread at a time; it ends with the last reference.
public final class QEMUVM: RunningVM, LockKeeper {
    /// Which VM.
    public let name: VMName

    let connection: QMPConnection
    let timeout: Duration
    /// Where each device goes, found before any is attached.
    var places: [AttachmentID: QEMUPlace] = [:]
    /// What was asked before it is needed.
    var foresight = Foresight()
    /// QEMU itself; told apart from a later process with its number.
    let process: ProcessHandle?

    /// Whether somebody else gives devices their places here as well, from the first on: then ours are the last.
    let isShared: Bool
    /// How many places on PCI that other one is about to take.
    var setAside = 0

    /// What the socket was waited for with, if it was.
    private let watch: FolderWatch?

    init(
        name: VMName, connection: QMPConnection, timeout: Duration, isShared: Bool = false,
        watch: FolderWatch? = nil
    ) {
        self.name = name
        self.isShared = isShared
        self.watch = watch
        self.connection = connection
        self.timeout = timeout
        self.process = connection.peer
    }

    /// Where it is in its life, by query-status.
    public func state() throws(HypervisorError) -> VMState {
        try QEMUVM.state(from: call("asked for its state", .status))
    }

    /// The devices with our names among the VM's.
    public func attachments() throws(HypervisorError) -> Set<AttachmentID> {
        let list = try call("asked for its devices", .list(QOM.peripheral))
        return Set(list.children.compactMap { AttachmentID($0.name) })
    }

    /// QEMU holds the locks itself.
    public var custody: Custody { .locks(self) }

    /// Hands over a copy of an open file (getfd); another of that name is closed.
    public func hold(_ descriptor: Descriptor, as name: String) throws(HypervisorError) {
        try call("asked to hold \(name)", .hold(descriptor, as: name))
    }

    /// Has QEMU close a file that was handed over (closefd).
    public func letGo(_ name: String) throws(HypervisorError) {
        do {
            try connection.call(.letGo(name))
        } catch {
            guard error.isMissing else { throw failure("asked to let go of \(name)", error) }
        }
    }

    /// Lets the VM run (cont).
    public func resume() throws(HypervisorError) {
        let (run, status) = try call("asked to run") { (connection) throws(QMPError) in
            try connection.results(of: .run, .status)
        }
        if case .failure(let error) = run { throw failure("asked to run", error) }
        guard let state = try known("asked to run", status).map(QEMUVM.state) else { return }
        guard state == .running else {
            throw HypervisorError(.refused, "VM \(name) was told to run and is \(state)")
        }
    }

    /// Ends QEMU (quit), and waits for its process, which holds what was handed over; one that does not go in time, or
    /// whose connection is broken, is killed.
    public func end() throws(HypervisorError) { try end(within: timeout) }

    func end(within limit: Duration) throws(HypervisorError) {
        var patience = limit
        do {
            _ = try connection.results(of: .quit, within: limit)
        } catch {
            // It may be gone before its reply is: only its end counts. But it may never have been told, too.
            patience = min(limit, QEMUVM.patienceUntold)
        }
        let deadline = Deadline(after: patience)
        let closed = connection.waitForEnd(until: deadline)
        guard let process else {
            if closed { return }
            throw stillThere(nil)
        }
        do {
            if try process.waitForEnd(until: deadline) { return }
            try process.kill()
            if try process.waitForEnd(until: Deadline(after: timeout)) { return }
        } catch {
            // Between the deadline and the kill it may have gone by itself.
            if error.code == ESRCH { return }
            throw stillThere(error)
        }
        throw stillThere(nil)
    }

    /// How long a QEMU of which it is not known whether it was told to end may take until it is killed.
    private static let patienceUntold = Duration.seconds(5)

    private func stillThere(_ error: SystemCallError?) -> HypervisorError {
        HypervisorError(
            .refused, "VM \(name) was told to end and is still there\(error.map { " (\($0))" } ?? "")",
            remedy: process.map { "End its QEMU by hand: kill -KILL \($0.pid)" })
    }

    /// The words of QEMU's RunState (qapi/run-state.json).
    static func state(from answer: QMP.Status) -> VMState {
        switch answer.status {
        case "prelaunch": .notStarted
        case "running": .running
        case "shutdown", "internal-error", "guest-panicked": .ended(answer.status)
        default: .paused(printable(answer.status, limit: 40))
        }
    }
}

// MARK: - Asking

extension QEMUVM {
    /// Sends a command whose refusal is a failure; `what` continues "VM x, …".
    @discardableResult
    func call<Reply: Decodable>(_ what: String, _ command: QMPCommand<Reply>) throws(HypervisorError) -> Reply {
        try call(what) { (connection) throws(QMPError) in try connection.call(command) }
    }

    /// Converses with QEMU, with the errors of the protocol in our words.
    func call<Answer>(
        _ what: String, _ conversation: (QMPConnection) throws(QMPError) -> Answer
    ) throws(HypervisorError) -> Answer {
        do {
            return try conversation(connection)
        } catch {
            throw failure(what, error)
        }
    }

    /// Asks several things at once; what QEMU refuses to tell is nil, what it tells in a wrong form is an error.
    func ask<each Reply: Decodable>(
        _ what: String, _ commands: repeat QMPCommand<each Reply>
    ) throws(HypervisorError) -> (repeat (each Reply)?) {
        let results = try call(what) { (connection) throws(QMPError) in
            try connection.results(of: repeat each commands)
        }
        return (repeat try known(what, each results))
    }

    /// Asks groups of like things at once, in the same way.
    func ask<each Reply: Decodable>(
        _ what: String, _ groups: repeat [QMPCommand<each Reply>]
    ) throws(HypervisorError) -> (repeat [(each Reply)?]) {
        let results = try call(what) { (connection) throws(QMPError) in
            try connection.results(of: repeat each groups)
        }
        return (repeat try known(what, each results))
    }

    private func known<Reply>(
        _ what: String, _ result: Result<Reply, QMPError>
    ) throws(HypervisorError) -> Reply? {
        switch result {
        case .success(let reply): return reply
        case .failure(.server): return nil
        case .failure(let error): throw failure(what, error)
        }
    }

    /// The same of several results.
    func known<Reply>(
        _ what: String, _ results: [Result<Reply, QMPError>]
    ) throws(HypervisorError) -> [Reply?] {
        var replies: [Reply?] = []
        for result in results { replies.append(try known(what, result)) }
        return replies
    }

    /// The error of the protocol in our words.
    func failure(_ what: String, _ error: QMPError) -> HypervisorError {
        let kind: HypervisorError.Kind
        switch error {
        case .transport: kind = .unreachable
        case .incapable: kind = .incapable
        case .server: kind = .refused
        case .undecodable: kind = .notUnderstood
        }
        return HypervisorError(kind, "VM \(name), \(what): \(error)")
    }
}
