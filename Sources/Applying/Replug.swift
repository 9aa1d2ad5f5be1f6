internal import Assignments
public import Devices
internal import HostDevices
internal import Hypervisors
internal import Platform

/// What follows when a device is plugged in while VMs run: the VM that has it assigned gets it, whether it had it before
/// or the device comes late. No VM is ended for it; one that is still paused before its first instruction is left to its
/// own start.
struct Replug {
    let applier: Applier
    let plug: Plug

    /// How it went with one VM.
    private enum Attempt {
        /// It has the device, or gets it in its own start.
        case served
        /// It has ended by now.
        case ended
        /// The device has gone again.
        case gone
        /// It cannot have it.
        case failed([Problem])
    }

    /// Answers how the program ends; a device that has gone again, or that nobody wants, is no failure.
    func run() -> Sysexit {
        do throws(Problem) {
            let running = try applier.runningVMs()
            guard !running.isEmpty else { return .success }
            let all = try listed()
            let devices = all.filter(plug.isPlug)
            guard let device = devices.first else { return .success }
            let wishes = try wishes(of: running, for: devices, among: all)
            guard !wishes.isEmpty else { return .success }
            let (freed, problems) = try clearDead(for: devices, in: running)
            for problem in problems { report(problem, .host) }
            return serve(wishes, device, freed: freed)
        } catch {
            report(error, .host)
            return error.reason.status
        }
    }

    // MARK: Who wants it

    /// All devices of its class; it is there once for each of its ports, or not at all when it has gone again.
    private func listed() throws(Problem) -> [Device] {
        do {
            return try applier.sources.first { $0.name.isHost }?.devices(of: plug.deviceClass) ?? []
        } catch {
            throw Problem(.sourceUnreadable, nil, error.message, remedy: error.remedy ?? "")
        }
    }

    private func wishes(
        of running: Set<VMName>, for devices: [Device], among all: [Device]
    ) throws(Problem) -> [Wish] {
        let meant = try applier.allRows().filter { row in
            let assignment = row.assignment
            guard running.contains(assignment.target), assignment.device.deviceClass == plug.deviceClass else {
                return false
            }
            switch assignment.device.match(among: all, follow: assignment.options.follow) {
            case .found(let device, _): return devices.contains(device)
            case .ambiguous(let several): return several.contains(where: devices.contains)
            case .absent, .moved, .replaced: return false
            }
        }
        return Wish.all(meant)
    }

    // MARK: What is left of an earlier plug

    /// Takes from the VMs what has been plugged out and stands in the way, or is of the same identity: the dead end of
    /// this very device. Answers the VMs that had one.
    private func clearDead(
        for devices: [Device], in running: Set<VMName>
    ) throws(Problem) -> (freed: Set<VMName>, problems: [Problem]) {
        let dead: [LockRecord]
        do { dead = try applier.locks.live().filter { isDead($0, devices) } } catch {
            throw Problem(.configuration, nil, "the locks cannot be read: \(error)")
        }
        var freed: Set<VMName> = []
        var problems: [Problem] = []
        for (vm, records) in Dictionary(grouping: dead, by: \.vm) where running.contains(vm) {
            do throws(Problem) {
                try applier.withTurn(on: vm) { (running) throws(Problem) in
                    guard try state(of: running) != .notStarted else { return }
                    for record in records {
                        do throws(HypervisorError) { try attaching(running).detach(record) } catch {
                            throw Problem(error)
                        }
                        freed.insert(vm)
                    }
                }
            } catch {
                if error.reason != .notRunning { problems.append(error) }
            }
        }
        return (freed, problems)
    }

    private func isDead(_ record: LockRecord, _ devices: [Device]) -> Bool {
        guard record.device.deviceClass == plug.deviceClass, record.device.source.isHost,
            let sequence = record.sequence, let port = record.device.port,
            devices.contains(where: { device in
                device.sequence != sequence || device.canonical != record.canonical
            }),
            devices.contains(where: { device in
                record.canonical.conflicts(with: device.canonical)
                    || record.device.identity.map(device.identities.contains) == true
            })
        else { return false }
        return applier.sources.first { $0.name.isHost }?
            .hasGone(sequence, from: port, of: plug.deviceClass) ?? false
    }

    // MARK: Attaching

    private func serve(_ wishes: [Wish], _ device: Device, freed: Set<VMName>) -> Sysexit {
        var holder: VMName?
        var statuses: [Sysexit] = []
        for wish in wishes {
            if let holder, !plug.deviceClass.isShareable {
                tellPassedOver(wish, device, holder)
                continue
            }
            switch attach(wish, wasFreed: freed.contains(wish.vm)) {
            case .served: holder = wish.vm
            case .ended: continue
            case .gone: return Sysexit.first(of: statuses)
            case .failed(let problems):
                for problem in problems { report(problem, wish.vm, device) }
                statuses += problems.map(\.reason.status)
            }
        }
        return Sysexit.first(of: statuses)
    }

    private func attach(_ wish: Wish, wasFreed: Bool) -> Attempt {
        do throws(Problem) {
            var result = Attempt.ended
            try applier.withTurn(on: wish.vm) { (vm) throws(Problem) in
                result = try attach(wish, to: vm, wasFreed: wasFreed)
            }
            if case .failed = result, applier.hasEnded(wish.vm) { return .ended }
            return result
        } catch {
            return error.reason == .notRunning || applier.hasEnded(wish.vm) ? .ended : .failed([error])
        }
    }

    private func attach(_ wish: Wish, to vm: any RunningVM, wasFreed: Bool) throws(Problem) -> Attempt {
        switch try state(of: vm) {
        case .notStarted: return .served
        case .ended: return .ended
        case .running, .paused: break
        }
        // While it waited for its turn the device may have gone, and come back as another one.
        guard try listed().contains(where: plug.isPlug) else { return .gone }
        let resolution = applier.resolve(wish.assignments)
        let attaching = attaching(vm)
        let (_, attached, failed): Attaching.Completion
        do { (_, attached, failed) = try attaching.attachMissing(resolution.items, in: wish.vm) } catch {
            throw Problem(error)
        }
        for entry in attached { tell(entry, isAgain: wasFreed) }
        let problems = resolution.problems + failed
        return problems.isEmpty ? .served : .failed(problems)
    }

    private func state(of vm: any RunningVM) throws(Problem) -> VMState {
        do { return try vm.state() } catch { throw Problem(error) }
    }

    private func attaching(_ vm: any RunningVM) -> Attaching {
        Attaching(vm: vm, sources: applier.sources, locks: applier.locks, timeout: applier.timeout)
    }

    // MARK: Telling

    private func tell(_ entry: Attaching.Attached, isAgain: Bool) {
        let item = entry.item
        let (target, device) = (item.assignment.target, item.device)
        applier.reportFollowed(item)
        for caution in device.cautions { applier.report(caution, of: item) }
        let what = "VM \(target): \(device.deviceClass) device \(device.reference)"
        let manner = item.readOnly ? ", read-only" : ""
        applier.reporter.report(
            isAgain
                ? Outcome(
                    .reattached, target: target, assignment: item.assignment, device: device,
                    duration: entry.duration, "\(what) was plugged in again and is attached again\(manner)")
                : Outcome(
                    .attached, target: target, assignment: item.assignment, device: device,
                    duration: entry.duration, "\(what) was plugged in and is attached\(manner)"))
    }

    private func tellPassedOver(_ wish: Wish, _ device: Device, _ holder: VMName) {
        applier.reporter.report(
            Outcome(
                .passedOver, target: wish.vm, assignment: wish.assignments.first, device: device,
                """
                VM \(wish.vm): \(device.deviceClass) device \(device.reference) was plugged in and went to VM \(holder), \
                which comes before it
                """))
    }

    private func report(_ problem: Problem, _ target: VMName, _ device: Device? = nil) {
        applier.reporter.report(
            Outcome(
                .plugFailed, target: problem.assignment?.target ?? target, assignment: problem.assignment,
                device: device, reason: problem.reason, problem.text))
    }
}

extension Applier {
    /// Gives a device that was plugged in to the VMs that run and have it assigned; answers how the program ends.
    public func replug(_ plug: Plug) -> Sysexit { Replug(applier: self, plug: plug).run() }
}
