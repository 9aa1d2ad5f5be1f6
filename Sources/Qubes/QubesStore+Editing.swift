public import Assignments
public import Devices
internal import Hypervisors

extension QubesStore {
    /// Stores an assignment, and makes sure that qubesd has it: it says yes to more than it does.
    public func add(_ wanted: Assignment) throws(TableError) -> AddOutcome {
        let assignment = wanted.asQubesStoresIt
        let before = try stored(assignment.device.deviceClass, of: assignment.target)
        let old = before.rows.first { $0.reference == assignment.device && $0.mode != "manual" }
        let previous = old.flatMap { try? $0.assignment() }
        if let previous, previous.isStored(as: assignment) { return .alreadySo }
        do throws(QubesError) {
            if let previous, previous.isStored(as: assignment.with(mode: previous.mode)) {
                try admin.setMode(assignment.mode, of: assignment.device, to: assignment.target)
            } else {
                // Options cannot be changed: what was stored goes first.
                if old != nil { try admin.unassign(assignment.device, from: assignment.target) }
                do throws(QubesError) { try admin.assign(assignment) } catch {
                    if let previous { try? admin.assign(previous) }
                    throw error
                }
            }
        } catch {
            throw try explained(error, assignment)
        }
        let after = try stored(assignment.device.deviceClass, of: assignment.target)
        guard after.rows.contains(where: { (try? $0.assignment())?.isStored(as: assignment) == true }) else {
            throw TableError(
                .refused,
                "VM \(assignment.target): qubesd did not store the assignment of \(assignment.device.deviceClass) device \(assignment.device), although it said yes",
                remedy: "See what it says itself: journalctl -u qubesd.")
        }
        return previous.map { .changed(from: $0) } ?? .added
    }

    /// Removes what `isUnwanted` chooses, of all VMs.
    public func remove(where isUnwanted: (Assignment) -> Bool) throws(TableError) -> [Assignment] {
        let domains: [QubesAdmin.Domain]
        do { domains = try admin.domains() } catch { throw TableError(error) }
        var removed: [Assignment] = []
        for domain in domains where !domain.name.isHost {
            removed += try remove(from: domain.name, where: isUnwanted)
        }
        return removed
    }

    /// Removes what `isUnwanted` chooses. An assignment whose options are wrong is asked about without them: it is the one
    /// that has to go.
    public func remove(
        from vm: VMName, where isUnwanted: (Assignment) -> Bool
    ) throws(TableError) -> [Assignment] {
        var removed: [Assignment] = []
        for answer in admin.assigned(DeviceClass.allCases.map { (vm, $0) }) {
            let list: QubesAdmin.List<QubesLink>
            do { list = try answer.get() } catch { throw TableError(error) }
            for link in list.rows where link.mode != "manual" {
                guard let assignment = (try? link.assignment()) ?? link.bare, isUnwanted(assignment) else {
                    continue
                }
                do { try admin.unassign(assignment.device, from: vm) } catch { throw TableError(error) }
                removed.append(assignment)
            }
        }
        guard !removed.isEmpty else { return [] }
        for deviceClass in Set(removed.map(\.device.deviceClass)).sorted() {
            let left = try stored(deviceClass, of: vm).rows.compactMap(\.reference)
            if let stays = removed.first(where: { left.contains($0.device) }) {
                throw TableError(
                    .refused,
                    "VM \(vm): qubesd still has the assignment of \(deviceClass) device \(stays.device), although it said that it removed it",
                    remedy: "See what it says itself: journalctl -u qubesd.")
            }
        }
        return removed
    }

    private func stored(
        _ deviceClass: DeviceClass, of vm: VMName
    ) throws(TableError) -> QubesAdmin.List<QubesLink> {
        guard let answer = admin.assigned([(vm, deviceClass)]).first else { return QubesAdmin.List() }
        do { return try answer.get() } catch { throw try explained(error, vm, nil) }
    }

    private func explained(_ error: QubesError, _ assignment: Assignment) throws(TableError) -> TableError {
        try explained(error, assignment.target, assignment.device.source)
    }

    /// qubesd has nothing to say about a VM that it does not know: its answer is empty.
    private func explained(
        _ error: QubesError, _ target: VMName, _ source: VMName?
    ) throws(TableError) -> TableError {
        guard error.kind == .noAnswer else { return TableError(error) }
        let domains: [QubesAdmin.Domain]
        do { domains = try admin.domains() } catch { return TableError(error) }
        let unknown = [target, source].compactMap(\.self).first { name in !domains.contains { $0.name == name } }
        guard let unknown else { return TableError(error) }
        return TableError(
            .refused, "there is no VM \(unknown)", remedy: "'qvm-ls' shows those that there are.")
    }
}

extension Assignment {
    /// Without the options of a PCI device that say no: Qubes OS takes any value of these for yes.
    fileprivate var asQubesStoresIt: Assignment {
        guard device.deviceClass == .pci else { return self }
        let options = options.entries.filter { $0.value != "no" }.map { (key: $0.key, value: $0.value) }
        guard let checked = try? DeviceOptions(options, of: .pci) else { return self }
        return (try? Assignment(target: target, device: device, mode: mode, options: checked)) ?? self
    }

    /// Whether both are one; qubesd gives options in any order.
    fileprivate func isStored(as other: Assignment) -> Bool {
        target == other.target && device == other.device && mode == other.mode
            && Set(options.entries) == Set(other.options.entries)
    }
}

extension QubesLink {
    /// The assignment without its options and whatever its mode, to remove it.
    fileprivate var bare: Assignment? {
        reference.flatMap { try? Assignment(target: target, device: $0, options: .none) }
    }
}
