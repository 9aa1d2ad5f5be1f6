internal import Assignments
internal import Devices
internal import Hypervisors

/// A VM that runs, and those of its assignments that something which has just come up or been plugged in may fulfil.
struct Wish {
    let vm: VMName
    let assignments: [Assignment]
    let isRequired: Bool
    let line: Int

    /// Of these rows one wish for each VM: required ones first, then in the order of the table.
    static func all(_ rows: [TableRow]) -> [Wish] {
        Dictionary(grouping: rows, by: \.assignment.target).map { vm, rows in
            Wish(
                vm: vm, assignments: rows.map(\.assignment),
                isRequired: rows.contains { $0.assignment.mode == .required },
                line: rows.map(\.line).min() ?? 0)
        }.sorted { a, b in a.isRequired == b.isRequired ? a.line < b.line : a.isRequired }
    }
}

extension Applier {
    func runningVMs() throws(Problem) -> Set<VMName> {
        do { return Set(try hypervisor.runningVMs()) } catch { throw Problem(error) }
    }

    /// Whether a VM that ran has ended: what failed with it then is no trouble of the device.
    func hasEnded(_ vm: VMName) -> Bool { (try? hypervisor.runningVMs())?.contains(vm) == false }

    /// All rows of the table that can be read.
    func allRows() throws(Problem) -> [TableRow] {
        do { return try store.allAssignments().rows } catch { throw Problem(error) }
    }
}
