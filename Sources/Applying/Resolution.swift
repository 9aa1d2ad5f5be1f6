internal import Assignments
public import Devices
public import HostDevices
public import Hypervisors

/// What the rows of one VM mean now: the devices that can be had, in the order in which they are attached, and every
/// problem with the others.
public struct Resolution: Sendable {
    /// One assignment and its device.
    public struct Item: Hashable, Sendable {
        /// The assignment.
        public let assignment: Assignment
        /// The device that it means.
        public let device: Device
        /// The port that the assignment names, where the device was followed from there.
        public let movedFrom: Port?

        /// Whether the guest gets it for reading only.
        public var readOnly: Bool { assignment.options.readOnly ?? device.isReadOnly ?? false }

        /// What is asked of a VM that has it, or is to have it, without anything that was opened for it.
        var request: AttachRequest {
            AttachRequest(
                device: device, options: assignment.options, readOnly: readOnly, backing: .alreadyThere)
        }

        /// What the lock file says of it.
        public var record: LockRecord {
            LockRecord(
                vm: assignment.target, device: device.reference, id: AttachmentID(of: device),
                options: assignment.options, canonical: device.canonical,
                sequence: device.sequence)
        }
    }

    /// Required ones first, so that an optional one never takes their place; then by class and in the table's order,
    /// which is the order in which a guest names its disks.
    public private(set) var items: [Item] = []
    /// Everything that is wrong, in the table's order.
    public private(set) var problems: [Problem] = []

    /// Finds out what the assignments mean: pure but for asking the sources and the locks.
    public init(
        _ assignments: [Assignment], sources: [any DeviceSource], locks: LockFolder, hypervisor: any Hypervisor
    ) {
        let candidates = Candidates(assignments, sources: sources)
        for (index, assignment) in assignments.enumerated() {
            do throws(Problem) {
                if let objection = hypervisor.objection(to: assignment.options, of: assignment.device.deviceClass) {
                    throw Problem(objection, assignment)
                }
                let (source, devices) = try candidates.of(index, assignment)
                let item = try Resolution.item(
                    assignment, among: devices, of: source, follow: hypervisor.startManner == .paused)
                try Resolution.refuse(item, locks: locks)
                items.append(item)
            } catch {
                problems.append(error)
            }
        }
        refuseHeld(hypervisor)
        keepMostSpecific()
        refuseOverlaps()
        refuseUnfit(sources)
        items = items.enumerated().sorted { left, right in
            let (a, b) = (left.element.assignment, right.element.assignment)
            if a.mode != b.mode { return a.mode == .required }
            if a.device.deviceClass != b.device.deviceClass { return a.device.deviceClass < b.device.deviceClass }
            return left.offset < right.offset
        }.map(\.element)
    }

    /// The status with which a start fails; success when nothing required is in the way.
    public var status: Sysexit {
        Sysexit.first(of: problems.filter { !$0.isTolerable }.map(\.reason.status))
    }

    private static func item(
        _ assignment: Assignment, among devices: [Device], of source: any DeviceSource, follow: Bool
    ) throws(Problem) -> Item {
        let match = assignment.device.match(among: devices, follow: follow && assignment.options.follow)
        guard case .found(let device, let movedFrom) = match else {
            throw .notThere(assignment, match, source: source, follow: follow)
        }
        return Item(assignment: assignment, device: device, movedFrom: movedFrom)
    }

    /// What stands in the way of a device that is there.
    private static func refuse(_ item: Item, locks: LockFolder) throws(Problem) {
        let (assignment, device) = (item.assignment, item.device)
        // What is exported to this very VM is there already, or has to be exported anew.
        if let use = device.uses.first(where: { $0 != .exported(assignment.target) }) {
            throw .usedByHost(assignment, device, use)
        }
        if device.isReadOnly == true, assignment.options.readOnly == false {
            throw .readOnly(assignment, device)
        }
        let holders: [LockRecord]
        do { holders = try locks.holders(of: device.canonical) } catch { throw Problem(error, assignment, device) }
        let others = holders.filter { holder in
            if device.deviceClass.isShareable && holder.device.deviceClass.isShareable { return false }
            if holder.vm != assignment.target { return true }
            // The VM itself may have the device, or another one of its group, but no part of it.
            return holder.canonical.key != device.canonical.key && holder.canonical.overlaps(device.canonical)
        }
        guard others.isEmpty else { throw .taken(assignment, device, by: others) }
    }

    /// What another VM has by the account of the hypervisor itself.
    private mutating func refuseHeld(_ hypervisor: any Hypervisor) {
        let holders: [[VMName]]
        do {
            holders = try hypervisor.holders(of: items.map(\.device))
        } catch {
            // In doubt somebody has it.
            problems += items.map { Problem(error, $0.assignment) }
            items = []
            return
        }
        var free: [Item] = []
        for (item, vms) in zip(items, holders) {
            let others = vms.filter { $0 != item.assignment.target }
            if others.isEmpty { free.append(item) } else { problems.append(.held(item.assignment, by: others)) }
        }
        items = free
    }

    /// Of several assignments that mean one device the most specific says how; it is required if
    /// any of them is.
    private mutating func keepMostSpecific() {
        var winners: [Item] = []
        for item in items {
            guard let index = winners.firstIndex(where: { $0.device.canonical.key == item.device.canonical.key })
            else {
                winners.append(item)
                continue
            }
            let (first, second) = (winners[index].assignment, item.assignment)
            let winner = second.device.specificity > first.device.specificity ? item : winners[index]
            let mode: AssignmentMode = first.mode == .required || second.mode == .required ? .required : .autoAttach
            winners[index] = Item(
                assignment: winner.assignment.with(mode: mode), device: winner.device, movedFrom: winner.movedFrom)
        }
        items = winners
    }

    /// What a source cannot give, in view of all that this VM gets; without one, another may become impossible too.
    private mutating func refuseUnfit(_ sources: [any DeviceSource]) {
        var count: Int
        repeat {
            count = items.count
            let all = items.map(\.device)
            items = items.filter { item in
                let source = sources.first { $0.name == item.device.source }
                let objection = source?.objection(
                    to: item.device, options: item.assignment.options, together: all.filter { $0 != item.device })
                if let objection { problems.append(Problem(objection, item.assignment)) }
                return objection == nil
            }
        } while items.count < count
    }

    /// A disk and its own partition cannot both go to one VM: whichever came second in the table is a problem.
    private mutating func refuseOverlaps() {
        var kept: [Item] = []
        for item in items {
            let clash = kept.first {
                $0.device.canonical.overlaps(item.device.canonical)
            }
            if let clash {
                problems.append(.overlap(item.assignment, item.device, clash.device))
            } else {
                kept.append(item)
            }
        }
        items = kept
    }
}
