internal import Assignments
public import Devices
internal import HostDevices
internal import Hypervisors
internal import Platform

/// What follows when a VM that exposes devices has come up, or says that something has changed there: VMs that run and have
/// devices of it assigned get what is there, each once; of what they have lost the journal says so. No VM is ended for it.
///
/// That somebody said so proves nothing, and is not believed: it is but a reason to look.
struct SourceReturn {
    let applier: Applier
    let source: VMName

    /// How long a source VM that has just been started may take until it answers.
    private static let patience = Duration.seconds(300)

    /// Answers how the program ends. With `waiting` the source may be on its way still.
    func run(waiting: Bool) -> Sysexit {
        do throws(Problem) {
            guard let found = applier.sources.first(where: { $0.name == source && !$0.name.isHost }) else {
                throw Problem(
                    .sourceUnknown, nil, "VM \(source) is none that exposes devices here",
                    remedy: "Add [Source \(source)] with its Address= to vmdev.conf.")
            }
            var wishes = try wishes()
            guard !wishes.isEmpty else { return .success }
            if waiting {
                try waitUntilItAnswers(found)
                // It may have taken a while.
                wishes = try self.wishes()
            }
            var statuses: [Sysexit] = []
            for wish in wishes { statuses += serve(wish).map(\.reason.status) }
            return Sysexit.first(of: statuses)
        } catch {
            applier.report(error, source)
            return error.reason.status
        }
    }

    /// What VMs that run have assigned of this source.
    private func wishes() throws(Problem) -> [Wish] {
        let running = try applier.runningVMs()
        guard !running.isEmpty else { return [] }
        return Wish.all(
            try applier.allRows().filter { row in
                row.assignment.device.source == source && running.contains(row.assignment.target)
            })
    }

    /// One that does not run is not waited for, beyond the time that a VM may take to appear: it could not be started, or has
    /// ended again.
    private func waitUntilItAnswers(_ found: any DeviceSource) throws(Problem) {
        let deadline = Deadline(after: SourceReturn.patience)
        var appearance = Deadline(after: applier.timeout)
        applier.reporter.progress("waiting for VM \(source)", needing: SourceReturn.patience)
        do throws(SourceError) {
            let events = try found.listen(for: [])
            while true {
                do throws(SourceError) {
                    _ = try found.devices(of: .block)
                    return
                } catch {
                    switch error.kind {
                    case .silent: appearance = Deadline(after: applier.timeout)
                    case .notRunning: if appearance.hasPassed { throw error }
                    default: throw error
                    }
                    guard let events, !deadline.hasPassed else { throw error }
                    _ = try? readable(among: [events.descriptor], until: deadline)
                    _ = try? events.take()
                }
            }
        } catch {
            throw Problem(
                error.kind == .notRunning ? .sourceNotRunning : .sourceSilent, nil, error.message,
                remedy: error.remedy ?? "")
        }
    }

    // MARK: One VM

    /// Answers what could not be attached and should have been.
    private func serve(_ wish: Wish) -> [Problem] {
        var problems: [Problem] = []
        do throws(Problem) {
            try applier.withTurn(on: wish.vm) { (vm) throws(Problem) in problems = try serve(wish, vm) }
        } catch {
            if error.reason != .notRunning { problems = [error] }
        }
        if !problems.isEmpty, applier.hasEnded(wish.vm) { return [] }
        for problem in problems {
            applier.reporter.report(
                Outcome(
                    .plugFailed, target: wish.vm, assignment: problem.assignment, reason: problem.reason,
                    problem.text))
        }
        return problems
    }

    private func serve(_ wish: Wish, _ vm: any RunningVM) throws(Problem) -> [Problem] {
        let attaching = Attaching(vm: vm, sources: applier.sources, locks: applier.locks, timeout: applier.timeout)
        do {
            switch try vm.state() {
            // Its own start does all this, and ends it if it has to.
            case .notStarted, .ended: return []
            case .running, .paused: break
            }
            let records = try applier.locks.live().filter { $0.vm == wish.vm && $0.device.source == source }
            let dead = try vm.deadEnds()
            let resolution = applier.resolve(wish.assignments)
            let ended = ended(records)
            let lost = records.filter { dead.contains($0.id) || ended.contains($0) }
            for record in lost where record.device.deviceClass == .usb { try attaching.detach(record) }

            let (there, attached, failed) = try attaching.attachMissing(resolution.items, in: wish.vm)
            let renewed = there.filter { item in lost.contains { $0.isPerhaps(item.device) } }
            let back = (renewed + attached.map(\.item)).map(\.device)
            for record in lost where !back.contains(where: record.isPerhaps) { tellLost(record) }
            for item in renewed { tell(item, isAgain: true, took: nil) }
            for entry in attached {
                let isAgain = lost.contains { $0.isPerhaps(entry.item.device) }
                tell(entry.item, isAgain: isAgain, took: entry.duration)
            }
            return (resolution.problems + failed).filter(isWorthTelling)
        } catch let error as HypervisorError {
            throw Problem(error)
        } catch let problem as Problem {
            throw problem
        } catch {
            throw Problem(.configuration, nil, "the locks cannot be read: \(error)")
        }
    }

    /// Those whose export has ended: their source does not run, does not list them, or lists them as nobody's. QEMU tells of
    /// no disk whether its connection stands, and of a USB device a moment later than its source may. What is not known is not
    /// lost.
    private func ended(_ records: [LockRecord]) -> Set<LockRecord> {
        guard let found = applier.sources.first(where: { $0.name == source }) else { return [] }
        var ended: Set<LockRecord> = []
        // One question for each class: a source may take its time for each.
        for (deviceClass, some) in Dictionary(grouping: records, by: \.device.deviceClass) {
            do throws(SourceError) {
                let devices = try found.devices(of: deviceClass)
                ended.formUnion(some.filter { !$0.isExported(among: devices) })
            } catch {
                if error.kind == .notRunning { ended.formUnion(some) }
            }
        }
        return ended
    }

    /// What is not plugged in, and what another VM has, is nothing new.
    private func isWorthTelling(_ problem: Problem) -> Bool {
        ![.deviceMissing, .taken, .exported, .sourceSilent, .sourceNotRunning].contains(problem.reason)
    }

    // MARK: Telling

    private func tellLost(_ record: LockRecord) {
        let rest =
            record.device.deviceClass == .block
            ? "what the VM reads or writes there waits" : "for the VM it is as if it had been plugged out"
        applier.reporter.report(
            Outcome(
                .lost, target: record.vm, reference: record.device,
                """
                VM \(record.vm): \(record.device.deviceClass) device \(record.device) was lost: VM \(source) does not give it \
                any more, because it was plugged out or that VM has ended; \(rest)
                """))
    }

    private func tell(_ item: Resolution.Item, isAgain: Bool, took duration: Duration?) {
        applier.reportFollowed(item)
        let (target, device) = (item.assignment.target, item.device)
        let words = isAgain ? "was lost, and is attached again" : "is attached"
        applier.reporter.report(
            Outcome(
                isAgain ? .reattached : .attached, target: target, assignment: item.assignment, device: device,
                duration: duration,
                "VM \(target): \(device.deviceClass) device \(device.reference) \(words)\(item.readOnly ? ", read-only" : "")"
            ))
    }
}

extension LockRecord {
    /// Whether the device may be what the record speaks of, plugged in again.
    fileprivate func isPerhaps(_ other: Device) -> Bool {
        device.deviceClass == other.deviceClass
            && (isPlace(of: other) || isIdentity(of: other))
    }
}

extension Applier {
    /// A source VM comes up: what VMs that run have assigned of it is attached, or attached again; answers how the program
    /// ends.
    public func sourceUp(_ source: VMName) -> Sysexit {
        SourceReturn(applier: self, source: source).run(waiting: true)
    }

    /// Somebody says that something has changed in these source VMs.
    public func sourcesChanged(_ sources: [VMName]) -> Sysexit {
        Sysexit.first(of: sources.map { SourceReturn(applier: self, source: $0).run(waiting: false) })
    }
}
