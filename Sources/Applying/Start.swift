internal import Assignments
internal import Devices
internal import HostDevices
internal import Hypervisors

/// One run of the transaction on one VM that is connected and locked for us.
struct Start {
    let applier: Applier
    let target: VMName
    let vm: any RunningVM
    let occasion: Applier.Occasion

    private var problems: [Problem] = []
    private var state = VMState.running
    private var waits: [DeviceReference: Duration] = [:]

    init(applier: Applier, target: VMName, vm: any RunningVM, occasion: Applier.Occasion) {
        self.applier = applier
        self.target = target
        self.vm = vm
        self.occasion = occasion
    }

    private var sources: [any DeviceSource] = []

    private var attaching: Attaching {
        Attaching(vm: vm, sources: sources, locks: applier.locks, timeout: applier.timeout)
    }

    /// Applies what was read of the table.
    mutating func run(_ assignments: [Assignment], tableProblems: [Problem]) -> Sysexit {
        problems = tableProblems
        sources = applier.sources(for: assignments)
        do {
            state = try vm.state()
        } catch {
            problems.append(Problem(error))
            return isStart ? refuseStart([]) : leaveAlone([], [])
        }
        if case .ended = state {
            problems.append(
                Problem(.wrongState, nil, "VM \(target) is \(state), nothing can be attached"))
            return isStart ? refuseStart([]) : leaveAlone([], [])
        }

        if !assignments.isEmpty, !(isStart && hasFailed) {
            vm.foresee(assignments.count { $0.device.deviceClass != .usb })
        }
        applier.reporter.progress("resolving \(applier.devices(assignments.count))")
        let items = resolve(assignments)
        if isStart && hasFailed { return refuseStart([]) }
        for item in items { applier.reportFollowed(item) }

        let (already, wrong) = attaching.alreadyThere(items, in: target)
        problems += wrong
        let missing = items.filter { item in
            !already.contains(item) && !problems.contains { $0.assignment == item.assignment }
        }
        let attached = attach(missing)
        if isStart && hasFailed { return refuseStart(attached) }
        return finish(already: already, attached: attached)
    }

    /// A start is what can be refused: the VM has run nothing yet, or its unit says that it is starting.
    private var isStart: Bool { occasion == .boot || state == .notStarted }

    private var hasFailed: Bool { problems.contains { !$0.isTolerable } }

    /// A VM that is up gets what is there; only a start waits, unless it cannot come to anything.
    private mutating func resolve(_ assignments: [Assignment]) -> [Resolution.Item] {
        guard isStart && !hasFailed else {
            let resolution = applier.resolve(assignments)
            problems += resolution.problems
            return resolution.items
        }
        var waiting = Waiting(applier: applier, target: target)
        let result = waiting.resolve(assignments)
        problems += result.problems
        waits = result.waits
        return result.items
    }

    private mutating func attach(_ items: [Resolution.Item]) -> [Attaching.Attached] {
        guard !items.isEmpty, !(isStart && hasFailed) else { return [] }
        do {
            let (prepared, refused) = try attaching.prepare(items, stopAtFailure: isStart)
            problems += refused
            if isStart && hasFailed { return [] }
            applier.reporter.progress("attaching \(applier.devices(prepared.count))")
            let (attached, failed) = attaching.attach(prepared, stopAtFailure: isStart)
            problems += failed
            return attached
        } catch {
            problems.append(Problem(error))
            return []
        }
    }

    // MARK: How it ends

    private mutating func finish(already: [Resolution.Item], attached: [Attaching.Attached]) -> Sysexit {
        if !isStart && hasFailed { return leaveAlone(already, attached) }
        if state == .notStarted {
            do { try vm.resume() } catch {
                problems.append(Problem(error))
                return refuseStart(attached)
            }
        }
        tell(already, attached)
        tellProblems()
        let without = problems.isEmpty ? ", all that are assigned" : ", without the optional ones named above"
        let count = applier.devices(already.count + attached.count) + without
        applier.reporter.progress("VM \(target) has \(count)")
        applier.reporter.report(
            state == .notStarted
                ? Outcome(.started, target: target, "VM \(target): starts with \(count)")
                : Outcome(.complete, target: target, "VM \(target): has \(count)"))
        return .success
    }

    /// The VM ends first: its process is what holds the devices, and the kernel takes them from a dead process more
    /// surely than the VM would give them back one by one. Only if it does not end are they taken away in reverse.
    private func refuseStart(_ attached: [Attaching.Attached]) -> Sysexit {
        tellProblems()
        applier.reporter.progress(
            "VM \(target) was not started: \(problems.first { !$0.isTolerable }?.message ?? "")")
        let status = Sysexit.first(of: problems.filter { !$0.isTolerable }.map(\.reason.status))
        do {
            try vm.end()
            applier.giveBackAll(from: target)
            applier.reporter.report(
                Outcome(
                    .startRefused, target: target,
                    state == .notStarted
                        ? "VM \(target): was not started, because of the above; it has not run without its devices"
                        : "VM \(target): was ended as it started, because of the above"))
        } catch {
            for entry in attached.reversed() { try? attaching.detach(entry.item.record) }
            applier.reporter.report(
                Outcome(
                    .endFailed, target: target, reason: Problem(error).reason,
                    "VM \(target): must not run, and could not be ended: \(error). End it by hand."))
        }
        return status
    }

    private func leaveAlone(_ already: [Resolution.Item], _ attached: [Attaching.Attached]) -> Sysexit {
        tell(already, attached)
        tellProblems()
        applier.reporter.report(
            Outcome(
                .leftAlone, target: target,
                "VM \(target): is up and is left alone, without what is named above; the next start would fail"))
        return Sysexit.first(of: problems.filter { !$0.isTolerable }.map(\.reason.status))
    }

    private func tell(_ already: [Resolution.Item], _ attached: [Attaching.Attached]) {
        for item in already { tell(item, .alreadyAttached, "is attached already", took: nil) }
        for entry in attached {
            for caution in entry.item.device.cautions { applier.report(caution, of: entry.item) }
            tell(entry.item, .attached, "is attached", took: entry.duration)
        }
    }

    private func tell(_ item: Resolution.Item, _ kind: Outcome.Kind, _ words: String, took duration: Duration?) {
        let device = item.device
        let waited = waits[item.assignment.device]
        let manner = item.readOnly ? ", read-only" : ""
        let wait = waited.map { " (waited \(spoken($0)) for it)" } ?? ""
        applier.reporter.report(
            Outcome(
                kind, target: target, assignment: item.assignment, device: device, duration: duration,
                waited: waited,
                "VM \(target): \(device.deviceClass) device \(device.reference) \(words)\(manner)\(wait)"))
    }

    private func tellProblems() {
        for problem in problems { applier.report(problem, target) }
    }
}
