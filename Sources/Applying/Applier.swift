public import Assignments
public import Devices
public import HostDevices
public import Hypervisors
public import Platform

/// Applies one VM's assignments: read, resolve all, lock and claim all, attach each, verify all, let the VM run; or
/// end it and say why.
public struct Applier: Sendable {
    let store: any AssignmentStore
    let sources: [any DeviceSource]
    let hypervisor: any Hypervisor
    let root: Root
    let reporter: any Reporter
    let timeout: Duration
    var standardWait: @Sendable () -> Duration
    /// How long the devices of a source VM that was just started are waited for, at least.
    let sourceWait: Duration
    private let otherSource: @Sendable (VMName) -> (any DeviceSource)?

    var locks: LockFolder { LockFolder(root: root) }

    /// Joins the parts; `timeout` bounds each answer of the VM. `standardWait` says how long a start waits for a late device
    /// whose assignment does not say it, and is asked only then. `otherSource` finds a source by a name that is not among
    /// `sources`.
    public init(
        store: any AssignmentStore, sources: [any DeviceSource], hypervisor: any Hypervisor, root: Root,
        reporter: any Reporter, timeout: Duration, standardWait: @escaping @Sendable () -> Duration = { .zero },
        sourceWait: Duration = .seconds(30),
        otherSource: @escaping @Sendable (VMName) -> (any DeviceSource)? = { _ in nil }
    ) {
        self.store = store
        self.sources = sources
        self.hypervisor = hypervisor
        self.root = root
        self.reporter = reporter
        self.timeout = timeout
        self.standardWait = standardWait
        self.sourceWait = sourceWait
        self.otherSource = otherSource
    }

    /// The sources that these assignments name, and those that are always there.
    func sources(for assignments: [Assignment]) -> [any DeviceSource] {
        let known = Set(sources.map(\.name))
        let others = Set(assignments.map(\.device.source)).subtracting(known).sorted()
        return sources + others.compactMap(otherSource)
    }

    /// A source by its name.
    func source(_ name: VMName) -> (any DeviceSource)? {
        sources.first { $0.name == name } ?? otherSource(name)
    }

    /// What the program was called for.
    public enum Occasion: Sendable {
        /// The unit of the VM is starting: a failure ends the VM.
        case boot
        /// By hand: a failure ends the VM only when it has not run its first instruction.
        case byHand
    }

    /// Applies the VM's assignments and answers how the program ends.
    public func apply(to target: VMName, on occasion: Occasion) -> Sysexit {
        let (assignments, tableProblems) = read(target)
        let isNothing = assignments.isEmpty && tableProblems.isEmpty
        var occasion = occasion
        if hypervisor.startManner == .whole {
            // A VM that was up before is not ended for what it lacks.
            let isPrepared = StartMark(target, root: root).take()
            if occasion == .boot, !isPrepared { occasion = .byHand }
            // Nor does it wait for us.
            if isNothing { return .success }
        }
        do {
            reporter.progress("waiting for VM \(target)")
            let vm = try connect(to: target, waiting: occasion == .boot)
            // A VM without assignments is let go at once: nothing of what follows is its business.
            guard !isNothing else { return start(vm, target, occasion, [], []) }
            let lock = try lockVM(target)
            let status = start(vm, target, occasion, assignments, tableProblems)
            lock.release()
            return status
        } catch {
            return refuse(target, tableProblems + [error])
        }
    }

    private func start(
        _ vm: any RunningVM, _ target: VMName, _ occasion: Occasion, _ assignments: [Assignment],
        _ problems: [Problem]
    ) -> Sysexit {
        var start = Start(applier: self, target: target, vm: vm, occasion: occasion)
        return start.run(assignments, tableProblems: problems)
    }

    func connect(to target: VMName, waiting: Bool) throws(Problem) -> any RunningVM {
        do {
            return try hypervisor.connect(to: target, until: Deadline(after: timeout), waiting: waiting)
        } catch {
            throw Problem(error)
        }
    }

    /// Tells which devices are free now that the VM has gone.
    public func release(_ target: VMName) -> Sysexit {
        let held: [LockRecord]
        do { held = try locks.live().filter { $0.vm == target } } catch {
            return refuse(
                target, [Problem(.configuration, nil, "VM \(target): the locks cannot be read: \(error)")])
        }
        for record in held {
            reporter.report(
                Outcome(
                    .stillHeld, target: target, reference: record.device,
                    """
                    VM \(target): \(record.device.deviceClass) device \(record.device) is still held by a process of the \
                    VM; it is free when that has ended
                    """))
        }
        // A process that has but leases may still have the devices, and no lock tells a source of it.
        let isGivenBack = locks.leases.forget(target) ? giveBackAll(from: target) : true
        if held.isEmpty && isGivenBack {
            reporter.report(Outcome(.released, target: target, "VM \(target): has ended, its devices are free"))
        }
        return isGivenBack ? .success : .refused
    }

    /// Gives the host back what it was without for the VM's sake; answers whether all of it could be.
    @discardableResult
    func giveBackAll(from target: VMName) -> Bool {
        var isComplete = true
        for source in sources {
            do {
                for device in try source.giveBackAll(from: target) {
                    reporter.report(
                        Outcome(
                            .givenBack, target: target, reference: device,
                            "VM \(target): \(device.deviceClass) device \(device) is back with the host's driver"))
                }
            } catch {
                isComplete = false
                reporter.report(
                    Outcome(
                        .failed, target: target, reason: .notGivenBack,
                        sentences("VM \(target): \(error.message)", error.remedy)))
            }
        }
        return isComplete
    }

    /// The rows of a VM.
    struct Reading {
        /// What is to be attached.
        var assignments: [Assignment] = []
        /// What the user is to be asked about, and not by us.
        var questions: [Assignment] = []
        /// What is wrong.
        var problems: [Problem] = []

        var isEmpty: Bool { assignments.isEmpty && questions.isEmpty && problems.isEmpty }
        var hasFailed: Bool { problems.contains { !$0.isTolerable } }
    }

    func readAll(_ target: VMName) -> Reading {
        do {
            let reading = try store.assignments(of: target)
            let all = reading.rows.map(\.assignment)
            return Reading(
                assignments: all.filter { $0.mode != .askToAttach },
                questions: all.filter { $0.mode == .askToAttach },
                problems: reading.problems.map(Problem.init))
        } catch {
            return Reading(problems: [Problem(error)])
        }
    }

    func read(_ target: VMName) -> ([Assignment], [Problem]) {
        let reading = readAll(target)
        return (reading.assignments, reading.problems)
    }

    func resolve(_ assignments: [Assignment]) -> Resolution {
        Resolution(assignments, sources: sources(for: assignments), locks: locks, hypervisor: hypervisor)
    }

    /// One transaction at a time for one VM.
    func lockVM(_ target: VMName) throws(Problem) -> LockFile {
        let folder = root.path("/run/vmdev/vms")
        do {
            try makeFolders(folder, permissions: 0o700)
            if let lock = try LockFile.take("\(folder)/\(target)", until: Deadline(after: timeout)) { return lock }
        } catch {
            throw .unwritable(target, error)
        }
        throw Problem(
            .busy, nil, "VM \(target): another vmdev-apply or vmdevctl works on this VM and does not end",
            remedy: "Look for it with: fuser -v \(folder)/\(target)")
    }

    func report(_ problem: Problem, _ target: VMName, device: Device? = nil) {
        reporter.report(
            Outcome(
                problem.isTolerable ? .skipped : .failed, target: target, assignment: problem.assignment,
                device: device, reason: problem.reason, waited: problem.waited, problem.text))
    }

    func report(_ caution: String, of item: Resolution.Item) {
        let (target, device) = (item.assignment.target, item.device)
        reporter.report(
            Outcome(
                .caution, target: target, assignment: item.assignment, device: device,
                "VM \(target): \(device.deviceClass) device \(device.name): \(printable(caution))"))
    }

    func reportFollowed(_ item: Resolution.Item) {
        guard let from = item.movedFrom else { return }
        let device = item.device
        reporter.report(
            Outcome(
                .followed, target: item.assignment.target, assignment: item.assignment, device: device,
                """
                VM \(item.assignment.target): \(device.deviceClass) device \(item.assignment.device) has moved from port \
                \(from) to \(device.port); it is followed there
                """))
    }

    func refuse(_ target: VMName, _ problems: [Problem]) -> Sysexit {
        for problem in problems { report(problem, target) }
        return Sysexit.first(of: problems.map(\.reason.status))
    }

    func devices(_ count: Int) -> String { count == 1 ? "1 device" : "\(count) devices" }
}
