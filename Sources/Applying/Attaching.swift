internal import Devices
internal import HostDevices
internal import Hypervisors
internal import Platform

/// The steps that change something: lock, claim, hand over, attach, verify. Each device either arrives whole or leaves
/// nothing behind.
struct Attaching {
    let vm: any RunningVM
    let sources: [any DeviceSource]
    let locks: LockFolder
    let timeout: Duration

    /// A device that is locked and claimed by us and has a place in the VM.
    struct Prepared {
        let item: Resolution.Item
        let request: AttachRequest
        let locks: [HeldLock]
        /// How long the claim took.
        let duration: Duration
    }

    /// A device that has arrived.
    struct Attached {
        let item: Resolution.Item
        /// How long it took to claim and attach it.
        let duration: Duration
    }

    /// Those that this very VM has already, by its own word and by a lock that only its process can still hold, and
    /// what is wrong with those that it has otherwise than asked for.
    func alreadyThere(_ items: [Resolution.Item], in target: VMName) -> ([Resolution.Item], [Problem]) {
        guard !items.isEmpty else { return ([], []) }
        if case .hypervisor = vm.custody { return alreadyThere(items) }
        let mine: [LockRecord]
        do {
            mine = try locks.live().filter { $0.vm == target }
        } catch {
            return ([], items.map { Problem(error, $0.assignment, $0.device) })
        }
        guard !mine.isEmpty else { return ([], []) }
        do {
            var present = try vm.attachments()
            // A lock without its device is what an interrupted attach or detach left, perhaps with a disk half attached.
            for record in mine where !present.contains(record.id) { try detach(record) }
            // Of a USB device that was plugged out and in again the VM has but the dead end, and QEMU does not say so; of one
            // of another VM it does.
            let isServed = mine.contains { $0.device.deviceClass == .usb && !$0.device.source.isHost }
            let dead = isServed ? try vm.deadEnds() : []
            for record in mine where present.contains(record.id) && record.device.deviceClass == .usb {
                let isPluggedAnew = items.contains {
                    $0.device.canonical.key == record.canonical.key && $0.record.sequence != record.sequence
                }
                guard isPluggedAnew || dead.contains(record.id) else { continue }
                try detach(record)
                present.remove(record.id)
            }
            let (renewed, lost) = renew(items, mine.filter { present.contains($0.id) })
            // A device in two ports may have been attached under the name of the other.
            let there = items.compactMap { item -> (Resolution.Item, AttachmentID)? in
                if let record = renewed[item] { return (item, record.id) }
                return mine.first {
                    $0.isSameDevice(as: item.record) && present.contains($0.id)
                        && $0.canonical.key == item.device.canonical.key
                }.map { (item, $0.id) }
            }.filter { item, _ in !lost.contains { $0.assignment == item.assignment } }
            let failures = try vm.verify(
                there.map { item, id in
                    AttachRequest(
                        device: item.device, options: item.assignment.options, readOnly: item.readOnly,
                        backing: .alreadyThere, id: id)
                })
            let pairs = zip(there.map(\.0), failures)
            return (
                pairs.filter { $0.1 == nil }.map(\.0),
                lost + pairs.compactMap { item, failure in failure.map { Problem($0, item.assignment) } }
            )
        } catch {
            return ([], items.map { Problem(error, $0.assignment) })
        }
    }

    /// The same where the hypervisor itself keeps the account.
    private func alreadyThere(_ items: [Resolution.Item]) -> ([Resolution.Item], [Problem]) {
        do {
            let present = try vm.attachments()
            let there = items.filter { present.contains($0.record.id) }
            let failures = try vm.verify(there.map(\.request))
            let pairs = zip(there, failures)
            return (
                pairs.filter { $0.1 == nil }.map(\.0),
                pairs.compactMap { item, failure in failure.map { Problem($0, item.assignment) } }
            )
        } catch {
            return ([], items.map { Problem(error, $0.assignment) })
        }
    }

    /// Locks and claims every device, in one order that all transactions share, so that of two VMs that want the same
    /// device always one gets it. After the first required one that cannot be had nothing more is taken.
    func prepare(_ items: [Resolution.Item], stopAtFailure: Bool) throws(HypervisorError) -> ([Prepared], [Problem])
    {
        vm.foresee(items.count { $0.device.deviceClass != .usb })
        var prepared: [Prepared] = []
        var problems: [Problem] = []
        for item in items.sorted(by: { $0.device.canonical.key < $1.device.canonical.key }) {
            do {
                prepared.append(try prepare(item))
            } catch {
                problems.append(error)
                if stopAtFailure && !error.isTolerable { break }
            }
        }
        // Back into the order in which they are attached.
        let order = items.map(\.record.id)
        prepared.sort { order.firstIndex(of: $0.request.id) ?? 0 < order.firstIndex(of: $1.request.id) ?? 0 }

        let places: [HypervisorError?]
        do { places = try vm.place(prepared.map(\.request)) } catch {
            for entry in prepared { _ = giveBack(entry.item) }
            throw error
        }
        for (entry, objection) in zip(prepared, places) {
            guard let objection else { continue }
            problems.append(Problem(objection, entry.item.assignment))
            problems += giveBack(entry.item)
        }
        let placed = zip(prepared, places).filter { $0.1 == nil }.map(\.0)
        return (placed, problems)
    }

    /// What a VM that is up has of what it was to have, and what was attached now.
    typealias Completion = (there: [Resolution.Item], attached: [Attached], problems: [Problem])

    /// Attaches what a VM that is up lacks; what fails is told, and nothing else is kept back for it.
    func attachMissing(_ items: [Resolution.Item], in target: VMName) throws(HypervisorError) -> Completion {
        let (there, wrong) = alreadyThere(items, in: target)
        let missing = items.filter { item in
            !there.contains(item) && !wrong.contains { $0.assignment == item.assignment }
        }
        let (prepared, refused) = try prepare(missing, stopAtFailure: false)
        let (attached, failed) = attach(prepared, stopAtFailure: false)
        return (there, attached, wrong + refused + failed)
    }

    /// Attaches in order, then verifies all in one go. With `stopAtFailure` the first required device that fails ends
    /// it; what was attached by then is told all the same.
    func attach(_ prepared: [Prepared], stopAtFailure: Bool) -> (attached: [Attached], problems: [Problem]) {
        var attached: [(entry: Prepared, duration: Duration)] = []
        var problems: [Problem] = []
        for entry in prepared {
            let watch = Stopwatch()
            do {
                try attach(entry)
                attached.append((entry, entry.duration + watch.elapsed))
            } catch {
                let problem = Problem(error, entry.item.assignment)
                problems.append(problem)
                if stopAtFailure && !problem.isTolerable { return (attached.map(Attached.init), problems) }
                problems += giveBack(entry.item)
            }
        }
        let (verified, failures) = verify(attached)
        return (verified.map(Attached.init), problems + failures)
    }

    /// Takes a device away and drops the proof that the VM has it.
    func detach(_ record: LockRecord) throws(HypervisorError) {
        try vm.detach(record.id, until: Deadline(after: timeout))
        try custodian.drop(record)
    }

    private var custodian: Custodian { Custodian(vm: vm, folder: locks) }

    /// Gives the host back what the claim of a device changed, once the VM does not have it.
    private func giveBack(_ item: Resolution.Item) -> [Problem] {
        let device = item.device
        guard let source = sources.first(where: { $0.name == device.source }) else { return [] }
        do {
            try source.giveBack(device.port, of: device.deviceClass, from: item.assignment.target)
            return []
        } catch {
            return [Problem(error, item.assignment)]
        }
    }

    private func prepare(_ item: Resolution.Item) throws(Problem) -> Prepared {
        let assignment = item.assignment
        guard let source = sources.first(where: { $0.name == item.device.source }) else {
            throw .sourceUnknown(assignment, known: sources.map(\.name))
        }
        let watch = Stopwatch()
        let held: [HeldLock]
        do { held = try locks.take(item.record) } catch { throw Problem(error, assignment, item.device) }
        do {
            let access = try source.access(
                to: item.device, for: assignment.target, readOnly: item.readOnly, options: assignment.options)
            return Prepared(
                item: item,
                request: AttachRequest(
                    device: item.device, options: assignment.options, readOnly: item.readOnly,
                    backing: AttachRequest.Backing(access)),
                locks: held, duration: watch.elapsed)
        } catch {
            throw Problem(error, assignment)
        }
    }

    /// The proof goes over first: at no moment does the VM have a device whose lock ends with us.
    private func attach(_ entry: Prepared) throws(HypervisorError) {
        do {
            try custodian.entrust(entry.locks, of: entry.item.record)
            try vm.attach(entry.request)
        } catch {
            // A VM that gave no answer may have the device, or get it yet: the next run takes it away first. Else the cause
            // is what counts; what cannot be dropped now goes with the VM.
            if error.kind != .unreachable { try? custodian.drop(entry.item.record) }
            throw error
        }
    }

    private func verify(
        _ attached: [(entry: Prepared, duration: Duration)]
    ) -> ([(entry: Prepared, duration: Duration)], [Problem]) {
        guard !attached.isEmpty else { return ([], []) }
        let failures: [HypervisorError?]
        do {
            failures = try vm.verify(attached.map(\.entry.request))
        } catch {
            // Nothing is known of any of them, and in doubt they are not there.
            return ([], attached.map { Problem(error, $0.entry.item.assignment) })
        }
        var verified: [(entry: Prepared, duration: Duration)] = []
        var problems: [Problem] = []
        for ((entry, duration), failure) in zip(attached, failures) {
            guard let failure else {
                verified.append((entry, duration))
                continue
            }
            problems.append(Problem(failure, entry.item.assignment))
            // The failure is what counts; what does not come off now goes with the VM.
            try? detach(entry.item.record)
            problems += giveBack(entry.item)
        }
        return (verified, problems)
    }
}

extension Attaching.Attached {
    fileprivate init(_ attached: (entry: Attaching.Prepared, duration: Duration)) {
        self.init(item: attached.entry.item, duration: attached.duration)
    }
}

extension AttachRequest.Backing {
    init(_ access: DeviceAccess) {
        self =
            switch access {
            case .open(let node): .open(node)
            case .byName: .byName
            case .networkDisk(let address, let export, let lease):
                .networkDisk(NetworkDisk(address: address, export: export, lease: lease))
            case .usbStream(let stream): .usbStream(stream)
            }
    }
}
