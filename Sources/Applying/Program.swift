public import Devices
internal import Glibc
public import Platform
internal import Settings

/// What `vmdev-apply` does once its arguments are understood.
public struct Program: Sendable {
    private let root: Root
    private let reporter: JournalReporter

    /// `name` stands before each line on standard error.
    public init(root: Root, name: String) {
        self.root = root
        reporter = JournalReporter(program: name, root: root, environment: Program.environment)
    }

    /// What the program was called for.
    public enum Occasion: Sendable {
        /// By hand, on a VM in whatever state.
        case byHand
        /// From the VM's unit, as it starts.
        case boot
        /// From the VM's unit, before it starts the VM.
        case prepare
        /// To know what would happen.
        case check
        /// From the VM's unit, after it has ended.
        case release
        /// From the VM's unit, before it starts, for the description to start it with.
        case describe
    }

    /// Does it, and answers how the program ends.
    public func run(_ target: VMName, _ occasion: Occasion) -> Sysexit {
        guard let host = host(for: target) else { return .configuration }
        let applier = Applier(host, reporter: reporter)
        switch occasion {
        case .prepare:
            let status = applier.prepare(target, startingSources: host.settings.startsSourceVMs)
            // That the next boot may be ordered as this one is no reason to fail this start.
            if status == .success {
                do { try host.keepCopy() } catch {
                    reporter.report(
                        Outcome(
                            .caution, target: target,
                            "VM \(target): its source VMs may not be started before it at the next boot: \(error)"))
                }
            }
            return status
        case .byHand: return applier.apply(to: target, on: .byHand)
        case .boot: return applier.apply(to: target, on: .boot)
        case .check: return applier.check(target)
        case .release: return applier.release(target)
        case .describe: return applier.describe(target)
        }
    }

    /// A device was plugged in: gives it to the VMs that run and have it assigned.
    public func replug(_ plug: Plug) -> Sysexit {
        host(for: .host).map { Applier($0, reporter: reporter).replug(plug) } ?? .configuration
    }

    /// A source VM comes up: attaches what VMs that run have assigned of it.
    public func sourceUp(_ source: VMName) -> Sysexit { applier(for: source)?.sourceUp(source) ?? .configuration }

    /// Something has changed in a source VM, or it has ended.
    public func sourceChanged(_ source: VMName) -> Sysexit {
        applier(for: source)?.sourcesChanged([source]) ?? .configuration
    }

    /// Source VMs have called at the socket that systemd passed to us: looks what has changed there. All that is taken of a
    /// call is where it came from, and one who calls without end has us look no more often than this program is started.
    public func announced() -> Sysexit {
        guard let listener = Listener.passed else {
            writeStandardError("vmdev-apply: --announced is for systemd, which passes a socket\n")
            return .usage
        }
        let peers = listener.takePeers(limit: 256)
        guard let host = host(for: .host) else { return .configuration }
        let callers = host.settings.sources.filter { source in peers.contains { source.address.isPerhaps($0) } }
        return Applier(host, reporter: reporter).sourcesChanged(callers.map(\.name))
    }

    /// The applier of this host; nil when its settings cannot be used, which is told as concerning `target`.
    private func applier(for target: VMName) -> Applier? {
        host(for: target).map { Applier($0, reporter: reporter) }
    }

    /// This host; nil when its settings cannot be used, which is told as concerning `target`.
    private func host(for target: VMName) -> Host? {
        let settings: Settings
        do {
            settings = try Settings(root: root)
        } catch {
            reporter.report(
                Outcome(.failed, target: target, reason: .configuration, "VM \(target): \(error)"))
            return nil
        }
        for warning in settings.warnings {
            reporter.report(Outcome(.settingIgnored, target: target, warning.description))
        }
        return Host(root: root, settings: settings)
    }

    /// What of the environment is of any interest.
    private static var environment: [String: String] {
        var result: [String: String] = [:]
        for name in ["JOURNAL_STREAM", "INVOCATION_ID"] {
            if let value = unsafe getenv(name) { result[name] = unsafe String(cString: value) }
        }
        return result
    }
}

extension SourceAddress {
    /// Whether a call may come from the VM that has this address.
    fileprivate func isPerhaps(_ peer: Peer) -> Bool {
        switch (self, peer) {
        case (.vsock(let cid, _), .vm(let number)): cid == number
        case (.tcp(let host, _), .address(let address)): host == address
        case (.unix, .local): true
        default: false
        }
    }
}
