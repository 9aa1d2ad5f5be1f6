public import Assignments
public import Devices
public import Hypervisors

/// The assignments that qubesd keeps (qubes.xml), so that every tool of Qubes OS sees the same ones.
public struct QubesStore: AssignmentStore {
    let admin: QubesAdmin

    /// What stands in the place of a table's path.
    static let name = "qubesd"

    /// The store of that qubesd.
    public init(_ admin: QubesAdmin) { self.admin = admin }

    /// What is stored for one VM, all classes asked for in one turn.
    public func assignments(of vm: VMName) throws(TableError) -> TableReading { try reading(of: [vm]) }

    /// What is stored for all VMs: one turn for their names, one for all else.
    public func allAssignments() throws(TableError) -> TableReading {
        let domains: [QubesAdmin.Domain]
        do { domains = try admin.domains() } catch { throw TableError(error) }
        return try reading(of: domains.map(\.name))
    }

    /// qubesd knows all modes.
    public func objection(to mode: AssignmentMode) -> String? { nil }

    private func reading(of vms: [VMName]) throws(TableError) -> TableReading {
        // dom0 itself is given no devices.
        let wanted = vms.filter { !$0.isHost }.flatMap { vm in
            DeviceClass.allCases.map { (vm: vm, deviceClass: $0) }
        }
        var reading = TableReading()
        for (place, answer) in zip(wanted, admin.assigned(wanted)) {
            do { reading.add(try answer.get(), of: place.vm, place.deviceClass) } catch { throw TableError(error) }
        }
        return reading
    }
}

extension TableReading {
    /// Takes over what is stored for a VM; what is required and cannot be told is a problem of that VM.
    public mutating func add(_ list: QubesAdmin.List<QubesLink>, of vm: VMName, _ deviceClass: DeviceClass) {
        for link in list.rows where link.mode != "manual" {
            do {
                rows.append(TableRow(try link.assignment(), line: 0))
            } catch {
                let row = TableProblem(in: QubesStore.name, target: vm, "VM \(vm): \(link.name): \(error)")
                if link.mode == AssignmentMode.required.rawValue { problems.append(row) } else { notes.append(row) }
            }
        }
        for fault in list.faults {
            problems.append(
                TableProblem(
                    in: QubesStore.name, target: vm,
                    "VM \(vm): \(deviceClass) device \(fault.head) is stored in words that are not understood: \(fault.error)"
                ))
        }
    }
}

extension QubesLink {
    /// For messages.
    var name: String {
        "\(deviceClass) device \(source):\(port?.description ?? "*"):\(identity?.description ?? "*")"
    }

    /// The assignment that it is; throws for one that no assignment of ours can be.
    public func assignment() throws(SyntaxError) -> Assignment {
        guard let reference else {
            throw SyntaxError("assignment", "any device of \(source)", expected: "a port or an identity")
        }
        guard let known = AssignmentMode(rawValue: mode) else {
            throw SyntaxError("mode", mode, expected: "required, auto-attach or ask-to-attach")
        }
        return try Assignment(target: target, device: reference, mode: known, options: try checkedOptions())
    }

    /// The options, checked against what the class knows.
    public func checkedOptions() throws(SyntaxError) -> DeviceOptions {
        try DeviceOptions(
            options.compactMap { option in
                guard deviceClass == .pci else { return (option.key, option.value) }
                // Qubes OS takes any value of these for yes, "no" and "false" included, and only an empty one for no.
                return option.value.isEmpty ? nil : (option.key, "yes")
            }, of: deviceClass)
    }
}

extension TableError {
    /// What came of asking qubesd.
    public init(_ error: QubesError) {
        let kind: Kind =
            switch error.kind {
            case .unreachable: .unreachable
            case .forbidden, .exception("PermissionDenied"): .forbidden
            case .notUnderstood: .notUnderstood
            case .unsupported: .unsupported
            case .noAnswer, .exception, .refused: .refused
            }
        self.init(kind, error.message, remedy: error.remedy ?? "")
    }
}
