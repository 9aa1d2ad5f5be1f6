internal import Devices
internal import HostDevices
internal import Hypervisors

extension Attaching {
    /// Has the disks of other VMs exported anew that this VM has and whose export has ended, because the other VM was
    /// started again or the disk was plugged in again; the VM finds them where they were. Answers those that are exported
    /// now, and what is wrong with the others. A disk that has come back under another name is none to attach beside what
    /// waits for it in the VM.
    func renew(_ items: [Resolution.Item], _ records: [LockRecord]) -> (exported: [LockRecord], problems: [Problem])
    {
        var exported: [LockRecord] = []
        var problems: [Problem] = []
        for record in records where record.device.deviceClass == .block && !record.device.source.isHost {
            if let moved = moved(record, items, records) {
                problems.append(.renamed(moved, record))
            }
            guard let item = items.first(where: { $0.device.canonical.key == record.canonical.key }) else {
                continue
            }
            do {
                if !item.device.uses.contains(.exported(record.vm)) { try renew(item, record) }
                exported.append(record)
            } catch {
                problems.append(error)
            }
        }
        return (exported, problems)
    }

    /// The disk that the record speaks of, under another name now. One disk may have the identity of another that is there
    /// still.
    private func moved(
        _ record: LockRecord, _ items: [Resolution.Item], _ records: [LockRecord]
    ) -> Resolution.Item? {
        guard let identity = record.device.identity,
            let item = items.first(where: { item in
                item.device.deviceClass == .block && item.device.source == record.device.source
                    && item.device.identities.contains(identity)
                    && !records.contains { $0.canonical.key == item.device.canonical.key }
            }),
            let source = sources.first(where: { $0.name == record.device.source }),
            let all = try? source.devices(of: .block)
        else { return nil }
        let isThereStill = all.contains {
            $0.canonical.key == record.canonical.key && $0.uses.contains(.exported(record.vm))
        }
        return isThereStill ? nil : item
    }

    private func renew(_ item: Resolution.Item, _ record: LockRecord) throws(Problem) {
        let (assignment, device) = (item.assignment, item.device)
        // The guest goes on where it was: no other disk may be there, of whatever size.
        let isSamePlug = item.record.sequence == record.sequence
        let isSameDisk = record.device.identity.map(device.identities.contains) ?? false
        guard isSamePlug || isSameDisk else {
            throw Problem(
                .deviceReplaced, assignment,
                "\(Problem.subject(assignment)) was \(record.device), and it is not certain that this is the same disk",
                remedy: "Put the right one back, or detach it from VM \(record.vm) and attach it again.")
        }
        guard let source = sources.first(where: { $0.name == device.source }) else {
            throw .sourceUnknown(assignment, known: sources.map(\.name))
        }
        let access: DeviceAccess
        do {
            access = try source.access(
                to: device, for: record.vm, readOnly: item.readOnly, options: assignment.options)
        } catch {
            throw Problem(error, assignment)
        }
        guard case .networkDisk(_, _, let lease) = access, case .locks(let keeper) = vm.custody else {
            throw Problem(
                .refused, assignment, "\(Problem.subject(assignment)) cannot be had again while the VM runs")
        }
        do {
            try keeper.hold(lease, as: record.id.claimName)
            // What the guest wrote meanwhile, and could not be written, is written now.
            if try vm.state() == .paused("io-error") { try vm.resume() }
        } catch {
            throw Problem(error, assignment)
        }
    }
}
