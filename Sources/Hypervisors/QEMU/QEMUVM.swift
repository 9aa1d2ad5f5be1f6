public import Devices
internal import Glibc
public import Platform

/// One QEMU process, over its QMP connection.
///
/// The connection is used by one thread at a time; it ends with the last reference.
public final class QEMUVM: RunningVM {
    /// Which VM.
    public let name: VMName

    let connection: QMPConnection
    let timeout: Duration
    /// Where each device goes, found before any is attached.
    var places: [AttachmentID: QEMUPlace] = [:]
    /// QEMU itself; told apart from a later process with its number.
    let process: ProcessHandle?

    init(name: VMName, connection: QMPConnection, timeout: Duration) {
        self.name = name
        self.connection = connection
        self.timeout = timeout
        self.process = connection.peer
    }

    /// Where it is in its life, by query-status.
    public func state() throws(HypervisorError) -> VMState {
        try QEMUVM.state(from: call("asked for its state", QMPCommand("query-status")), of: name)
    }

    /// The devices with our names among the VM's.
    public func attachments() throws(HypervisorError) -> Set<AttachmentID> {
        let list = try call("asked for its devices", .list(QOM.peripheral))
        return Set(QOM.children(list).compactMap { AttachmentID($0.name) })
    }

    /// Hands over a copy of an open file (getfd); another of that name is closed.
    public func hold(_ descriptor: Descriptor, as name: String) throws(HypervisorError) {
        try call("asked to hold \(name)", QMPCommand("getfd", ["fdname": .string(name)], passing: descriptor))
    }

    /// Has QEMU close a file that was handed over (closefd).
    public func letGo(_ name: String) throws(HypervisorError) {
        do {
            try connection.call(QMPCommand("closefd", ["fdname": .string(name)]))
        } catch {
            guard error.isMissing else { throw failure("asked to let go of \(name)", error) }
        }
    }

    /// Lets the VM run (cont).
    public func resume() throws(HypervisorError) {
        let results = try call("asked to run", [QMPCommand("cont"), QMPCommand("query-status")])
        for case .failure(let error) in results.prefix(1) { throw failure("asked to run", error) }
        guard case .success(let answer)? = results.last else { return }
        let state = try QEMUVM.state(from: answer, of: name)
        guard state == .running else {
            throw HypervisorError(.refused, "VM \(name) was told to run and is \(state)")
        }
    }

    /// Ends QEMU (quit), and waits for its process, which holds what was handed over; one that does not go in time, or
    /// whose connection is broken, is killed.
    public func end() throws(HypervisorError) { try end(within: timeout) }

    func end(within limit: Duration) throws(HypervisorError) {
        let deadline = Deadline(after: limit)
        do {
            // It may be gone before its reply is: only its end counts.
            _ = try connection.call([QMPCommand("quit")], within: limit)
        } catch {}
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

    private func stillThere(_ error: SystemCallError?) -> HypervisorError {
        HypervisorError(
            .refused, "VM \(name) was told to end and is still there\(error.map { " (\($0))" } ?? "")",
            remedy: process.map { "End its QEMU by hand: kill -KILL \($0.pid)" })
    }

    /// The words of QEMU's RunState (qapi/run-state.json).
    static func state(from answer: JSONValue, of vm: VMName) throws(HypervisorError) -> VMState {
        switch answer["status"]?.string {
        case "prelaunch"?: return .notStarted
        case "running"?: return .running
        case let word? where ["shutdown", "internal-error", "guest-panicked"].contains(word): return .ended(word)
        case let word?: return .paused(printable(word, limit: 40))
        case nil: throw HypervisorError(.notUnderstood, "VM \(vm): QEMU does not say in which state it is")
        }
    }
}

// MARK: - Asking

extension QEMUVM {
    /// Sends a command whose refusal is a failure; `what` continues "VM x, …".
    @discardableResult
    func call(_ what: String, _ command: QMPCommand) throws(HypervisorError) -> JSONValue {
        do {
            return try connection.call(command)
        } catch {
            throw failure(what, error)
        }
    }

    /// Sends several commands and answers with all their results.
    func call(
        _ what: String, _ commands: [QMPCommand]
    ) throws(HypervisorError) -> [Result<JSONValue, QMPError>] {
        do {
            return try connection.call(commands)
        } catch {
            throw failure(what, error)
        }
    }

    /// The error of the protocol in our words.
    func failure(_ what: String, _ error: QMPError) -> HypervisorError {
        let kind: HypervisorError.Kind
        switch error {
        case .transport: kind = .unreachable
        case .server: kind = .refused
        case .undecodable: kind = .notUnderstood
        }
        return HypervisorError(kind, "VM \(name), \(what): \(error)")
    }
}
