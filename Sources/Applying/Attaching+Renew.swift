internal import Devices
internal import HostDevices
internal import Hypervisors

extension Attaching {
    /// Has the disks of other VMs exported anew that this VM has and whose export has ended, because the other VM was
    /// started again or the disk was plugged in again; the VM finds them where they were, whatever they are called by now.
    /// Answers what proves of those that are exported now that the VM has them, and what is wrong with the others.
    func renew(
        _ items: [Resolution.Item], _ records: [LockRecord]
    ) -> (exported: [Resolution.Item: LockRecord], problems: [Problem]) {
        var exported: [Resolution.Item: LockRecord] = [:]
        var problems: [Problem] = []
        let disks = records.filter { $0.device.deviceClass == .block && !$0.device.source.isHost }
        // Found out before any is exported anew, which may then be in the place of another.
        var moves: [LockRecord: Resolution.Item] = [:]
        for record in disks { moves[record] = move(record, items, disks) }
        for record in disks {
            let item = moves[record] ?? items.first { record.isPlace(of: $0.device) }
            guard let item else { continue }
            do {
                let isExported =
                    record.isPlace(of: item.device) && item.isSureToBe(record)
                    && item.device.uses.contains(.exported(record.vm))
                exported[item] =
                    isExported ? record : try renew(item, record, besides: moves.keys.filter { $0 != record })
            } catch {
                problems.append(error)
            }
        }
        return (exported, problems)
    }

    /// The disk that the record speaks of, where it is in another place now. One disk may have the identity of another that is
    /// there still.
    private func move(
        _ record: LockRecord, _ items: [Resolution.Item], _ records: [LockRecord]
    ) -> Resolution.Item? {
        guard !items.contains(where: { record.isPlace(of: $0.device) && $0.isSureToBe(record) }),
            let item = items.first(where: { item in
                !record.isPlace(of: item.device) && item.device.source == record.device.source
                    && item.device.deviceClass == .block && record.isIdentity(of: item.device)
                    && !records.contains { $0.isPlace(of: item.device) && item.isSureToBe($0) }
            }),
            let source = sources.first(where: { $0.name == record.device.source }),
            let all = try? source.devices(of: .block)
        else { return nil }
        return record.isExported(among: all) ? nil : item
    }

    /// `moved` are disks of the VM whose places others may have by now.
    private func renew(
        _ item: Resolution.Item, _ record: LockRecord, besides moved: [LockRecord]
    ) throws(Problem) -> LockRecord {
        let (assignment, device) = (item.assignment, item.device)
        // The guest goes on where it was: no other disk may be there, of whatever size.
        guard item.isSureToBe(record) else {
            throw Problem(
                .deviceReplaced, assignment,
                "\(Problem.subject(assignment)) was \(record.device), and it is not certain that this is the same disk",
                remedy: "Put the right one back, or detach it from VM \(record.vm) and attach it again.")
        }
        guard let source = sources.first(where: { $0.name == device.source }) else {
            throw .sourceUnknown(assignment, known: sources.map(\.name))
        }
        let place = record.servedAs ?? record.device.port ?? device.port
        let renewed = LockRecord(
            vm: record.vm, device: device.reference, id: record.id, options: record.options,
            canonical: device.canonical, sequence: device.sequence, servedAs: place == device.port ? nil : place)
        do {
            let locks = record.isPlace(of: device) ? [] : try lock(renewed, besides: moved)
            let access = try source.access(
                to: device, for: record.vm, readOnly: item.readOnly, options: assignment.options, as: place)
            guard case .networkDisk(_, _, let lease) = access else {
                throw Problem(.refused, assignment, "\(Problem.subject(assignment)) is none that a VM finds again")
            }
            try vm.keep(lease, of: record.id)
            if !locks.isEmpty { try Custodian(vm: vm, folder: self.locks).move(locks, from: record, to: renewed) }
            // What the guest wrote meanwhile, and could not be written, is written now.
            if try vm.state() == .paused("io-error") { try vm.resume() }
        } catch let error as SourceError {
            throw Problem(error, assignment)
        } catch let error as HypervisorError {
            throw Problem(error, assignment)
        } catch let failure as LockFolder.Failure {
            throw Problem(failure, assignment, device)
        } catch let problem as Problem {
            throw problem
        } catch {
            throw Problem(.refused, assignment, "\(Problem.subject(assignment)): \(error)")
        }
        return record.isPlace(of: device) ? record : renewed
    }

    /// Locks a disk in its new place. Who had that place and has left it as well does not keep it.
    private func lock(_ renewed: LockRecord, besides moved: [LockRecord]) throws -> [HeldLock] {
        for other in moved where other.excludes(renewed) { try Custodian(vm: vm, folder: locks).drop(other) }
        return try locks.take(renewed)
    }
}

extension Resolution.Item {
    /// Whether it is the disk that the record speaks of, in the same plug or by its identity.
    fileprivate func isSureToBe(_ record: LockRecord) -> Bool {
        self.record.sequence == record.sequence || record.isIdentity(of: device)
    }
}
