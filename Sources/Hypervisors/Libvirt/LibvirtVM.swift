public import Devices
internal import Platform

/// One domain of libvirt's that runs.
///
/// It is this run of the domain that we talk to: when its process has ended, another one of its name is not taken for it.
public final class LibvirtVM: RunningVM {
    /// Which VM.
    public let name: VMName

    let domain: String
    let process: ProcessIdentity
    let transport: any LibvirtTransport
    let timeout: Duration
    /// Whether it was waited for: its unit is starting it.
    private let isStarting: Bool
    /// Where each device goes, found before any is attached.
    var places: [AttachmentID: LibvirtPlace] = [:]
    /// The domain's QEMU, for what libvirt itself has no words.
    lazy var machine = QEMUVM(
        name: name,
        connection: QMPConnection(
            asGuestOn: LibvirtMonitor(of: domain, process, by: transport), timeout: timeout),
        timeout: timeout, isShared: true)

    init(
        name: VMName, domain: String, process: ProcessIdentity, transport: any LibvirtTransport, timeout: Duration,
        isStarting: Bool
    ) {
        self.name = name
        self.domain = domain
        self.process = process
        self.transport = transport
        self.timeout = timeout
        self.isStarting = isStarting
    }

    /// A lease: libvirt hands nothing over to QEMU for us.
    public var custody: Custody { .lease(LeaseHolder(domain: domain, process: process)) }

    /// Where it is in its life. Whether it has run at all only its QEMU knows; where that cannot be asked, one that is
    /// being started counts as not started, and any other as paused.
    public func state() throws(HypervisorError) -> VMState {
        let what = "asked for its state"
        let found = try ask(what) { (libvirt, deadline) throws(LibvirtFailure) in
            try libvirt.state(of: domain, by: deadline)
        }
        switch (found.state, found.reason) {
        case ("running", _), ("idle", _): return .running
        case ("paused", "user"), ("paused", "starting up"):
            // To libvirt a domain that was started paused and one that was suspended later are alike.
            let hasRun = transport.reachesQEMU ? try machine.state() != .notStarted : !isStarting
            return hasRun ? .paused(found.reason) : .notStarted
        // As QEMU calls it.
        case ("paused", "I/O error"): return .paused("io-error")
        case ("paused", let reason): return .paused(printable(reason, limit: 40))
        case ("pmsuspended", _): return .paused("suspended by its guest")
        case (let state, let reason):
            return .ended(printable(reason.isEmpty ? state : "\(state): \(reason)", limit: 80))
        }
    }

    /// The devices with our aliases in the live description, and those of other VMs.
    public func attachments() throws(HypervisorError) -> Set<AttachmentID> {
        let own = Set(try description("asked for its devices").aliases.keys)
        return transport.reachesQEMU ? own.union(try machine.attachments()) : own
    }

    /// Lets the domain run.
    public func resume() throws(HypervisorError) {
        try ask("asked to run") { (libvirt, deadline) throws(LibvirtFailure) in
            try libvirt.resume(domain, by: deadline)
        }
        let state = try state()
        guard state == .running else {
            throw HypervisorError(.refused, "VM \(name) was told to run and is \(state)")
        }
    }

    /// Destroys the domain and waits for its process. Where libvirt does not do it the process is killed: what must not
    /// run does not run because libvirt has a problem.
    public func end() throws(HypervisorError) {
        guard let handle = ProcessHandle(pid: process.pid), process.isAlive else { return }
        let deadline = Deadline(after: timeout)
        do {
            try transport.destroy(domain, by: deadline)
            if try handle.waitForEnd(until: deadline) { return }
        } catch {}
        do {
            try handle.kill()
            if try handle.waitForEnd(until: Deadline(after: timeout)) { return }
        } catch {
            if !process.isAlive { return }
        }
        throw HypervisorError(
            .refused, "VM \(name) was told to end and is still there",
            remedy: "End its QEMU by hand: kill -KILL \(process.pid)")
    }

    /// The domain's description, read.
    func description(_ what: String) throws(HypervisorError) -> LibvirtDescription {
        let text = try ask(what) { (libvirt, deadline) throws(LibvirtFailure) in
            try libvirt.description(of: domain, by: deadline)
        }
        do {
            return try LibvirtDescription(XMLElement(parsing: Array(text.utf8)))
        } catch {
            throw HypervisorError(.notUnderstood, "VM \(name), \(what): libvirt answers with \(error)")
        }
    }

    /// Asks libvirt, if the process is still the one that we began with; `what` continues "VM x, …".
    func ask<Answer>(
        _ what: String, _ question: (any LibvirtTransport, Deadline) throws(LibvirtFailure) -> Answer
    ) throws(HypervisorError) -> Answer {
        guard process.isAlive else {
            throw HypervisorError(.unreachable, "VM \(name), \(what): its QEMU (process \(process.pid)) has ended")
        }
        do {
            return try question(transport, Deadline(after: timeout))
        } catch {
            throw HypervisorError(error, "VM \(name), \(what)")
        }
    }
}
