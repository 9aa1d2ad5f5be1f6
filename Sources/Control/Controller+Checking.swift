public import Applying
internal import Assignments
public import Devices
internal import Hypervisors
internal import Qubes

extension Controller {
    /// What the next start of a VM, or of all VMs with assignments, would come to.
    public func check(_ target: VMName?) throws(Failure) -> Sysexit {
        try Sysexit.first(of: targets(target).map(applier.check))
    }

    /// The same for a program to read; nothing else is said.
    public func forecasts(_ target: VMName?) throws(Failure) -> [Forecast] {
        try targets(target).map(applier.forecast)
    }

    private func targets(_ target: VMName?) throws(Failure) -> [VMName] {
        if let target { return [target] }
        let (assignments, problems) = try wholeTable()
        return Set(assignments.map(\.target) + problems.compactMap { $0.target.flatMap { try? VMName($0) } })
            .sorted()
    }

    /// Whether the table is sound: what is to be said of it, and its problems.
    public func verify() throws(Failure) -> (summary: String, problems: [String]) {
        let (assignments, faults) = try wholeTable()
        var problems = faults.map(\.description)
        for assignment in assignments {
            if let objection = hypervisor.objection(to: assignment.options, of: assignment.device.deviceClass) {
                problems.append(
                    "VM \(assignment.target): \(assignment.device.deviceClass) \(assignment.device): \(objection)")
            }
        }
        if qubes != nil {
            for rows in Dictionary(grouping: assignments, by: \.target).sorted(by: { $0.key < $1.key }).map(\.value)
            {
                problems += FrontendNames(rows).clashes.map { sentences($0.message, $0.remedy) }
            }
        }
        let vms = Set(assignments.map(\.target)).count
        return (
            "\(counted(assignments.count, "assignment")) of \(counted(vms, "VM")), \(counted(problems.count, "problem")).",
            problems
        )
    }

    /// All that is known of the device that is meant, or of what is left of it.
    public func details(of wanted: DeviceReference) throws(Failure) -> [Survey.Row] {
        let survey = try survey(wanted.deviceClass)
        let rows = survey.rows(of: nil, withAssignments: true).filter { row in
            if let device = row.device { return names(wanted, device.reference) }
            return (row.attachments.map(\.device) + row.assignments.map(\.device)).contains { names(wanted, $0) }
        }
        guard rows.isEmpty else { return rows }
        throw Failure(
            "\(wanted.source) exposes no \(wanted.deviceClass) device \(wanted.port?.description ?? wanted.description)",
            remedy: "'vmdevctl \(wanted.deviceClass) list' shows those that there are.", status: .unavailable)
    }

    private func wholeTable() throws(Failure) -> ([Assignment], [TableProblem]) {
        do {
            let reading = try store.allAssignments()
            return (reading.assignments, reading.problems)
        } catch {
            throw Failure(Problem(error))
        }
    }
}

/// "1 VM", "2 VMs".
private func counted(_ count: Int, _ noun: String) -> String { "\(count) \(noun)\(count == 1 ? "" : "s")" }
