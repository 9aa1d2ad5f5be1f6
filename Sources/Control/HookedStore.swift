internal import Assignments
internal import Devices
internal import Platform
internal import Systemd

/// The table, with the units of its VMs kept in step: after a change systemd runs our generator again, so that the next
/// start of a VM whose first assignment this is does not go by without it.
struct HookedStore: AssignmentStore {
    let table: any AssignmentStore
    /// Has the units made anew; what goes wrong is told, because the assignment itself is stored all the same.
    let refresh: @Sendable () -> Void

    func assignments(of vm: VMName) throws(TableError) -> TableReading { try table.assignments(of: vm) }

    func allAssignments() throws(TableError) -> TableReading { try table.allAssignments() }

    func add(_ assignment: Assignment) throws(TableError) -> AddOutcome {
        let outcome = try table.add(assignment)
        if outcome != .alreadySo { refresh() }
        return outcome
    }

    func remove(where isUnwanted: (Assignment) -> Bool) throws(TableError) -> [Assignment] {
        let removed = try table.remove(where: isUnwanted)
        if !removed.isEmpty { refresh() }
        return removed
    }

    func remove(from vm: VMName, where isUnwanted: (Assignment) -> Bool) throws(TableError) -> [Assignment] {
        let removed = try table.remove(from: vm, where: isUnwanted)
        if !removed.isEmpty { refresh() }
        return removed
    }

    func objection(to mode: AssignmentMode) -> String? { table.objection(to: mode) }
}

extension Session {
    /// Has systemd run its generators again, where ours is one of them.
    func refreshUnits() {
        let folders = ["/usr/lib", "/lib", "/usr/local/lib", "/etc", "/run"].map {
            "\($0)/systemd/system-generators"
        }
        guard root.isHost,
            folders.contains(where: { (try? Descriptor.open("\($0)/vmdev-generator", [.path])) != nil })
        else { return }
        do {
            _ = try ServiceManager().reload()
        } catch {
            complain("\(error); run 'systemctl daemon-reload' before the VM is started.")
        }
    }
}
