public import Applying
public import Devices

/// The devices of one class, with who has them and who is to have them.
public struct Survey: Sendable {
    /// Which class.
    public let deviceClass: DeviceClass
    /// What the sources expose.
    public var devices: [Device] = []
    /// What running VMs have.
    public var attachments: [LockRecord] = []
    /// What is stored.
    public var assignments: [Assignment] = []
    /// What is wrong with the table, and who did not answer.
    public var warnings: [String] = []
    /// The VMs that there are, where somebody knows all of them.
    public var vms: Set<VMName>?

    /// Refuses names of VMs that there are not.
    public func check(_ named: some Sequence<VMName>) throws(Failure) {
        guard let vms, let unknown = named.first(where: { !vms.contains($0) }) else { return }
        throw .noSuchVM(unknown)
    }

    /// One line of the list.
    public struct Row: Hashable, Sendable {
        /// `dom0:sda1`.
        public let name: String
        /// The device; nil when an attachment or assignment is all that is known of it.
        public let device: Device?
        /// What the device is.
        public let summary: String
        /// The VMs that have it.
        public var attachments: [LockRecord] = []
        /// The assignments that mean it.
        public var assignments: [Assignment] = []
        /// Its identity, if it has one.
        public let identity: DeviceIdentity?
        /// The names of other ports that the same device is in: `dom0:mic` is `dom0:mic-0-0` as well.
        public var alsoKnownAs: [String] = []

        /// Who uses it and how; assignments only where they are asked for, with a star.
        public func users(withAssignments: Bool) -> [String] {
            var users = attachments.map { record in
                let options = record.options.summary
                return options.isEmpty ? "\(record.vm) (attached)" : "\(record.vm) (attached: \(options))"
            }
            if attachments.isEmpty, let device, let use = device.uses.first {
                users.append("\(device.source) (\(use))")
            }
            if withAssignments {
                users += assignments.map { assignment in
                    let options = assignment.options.summary
                    return "*\(assignment.target) (\(assignment.mode)\(options.isEmpty ? "" : ": \(options)"))"
                }
            }
            return users
        }
    }

    /// The rows, sorted by source and port. With `vms` only what those VMs expose, have or (when `withAssignments`)
    /// are to have; without what concerns only those in `excluding`.
    public func rows(
        of vms: Set<VMName>?, excluding: Set<VMName> = [], withAssignments: Bool
    ) -> [Row] {
        // Each is looked up, not compared with each: a table and a source may have ten thousand.
        let index = DeviceIndex(devices)
        let meant = Dictionary(grouping: assignments) { assignment -> Device? in
            if case .found(let device, _) = index.match(assignment.device) { device } else { nil }
        }
        let held = Dictionary(grouping: attachments, by: \.canonical.key)
        // A device may be in more than one port; what a source lists twice in the same one is no further port.
        let ports = Dictionary(grouping: devices, by: \.canonical.key).mapValues { alike in
            Dictionary(alike.map { ($0.port, $0.name) }) { first, _ in first }.sorted { $0.key < $1.key }
        }
        var rows = devices.map { device in
            let key = device.canonical.key
            return Row(
                name: device.name, device: device, summary: describe(device), attachments: held[key] ?? [],
                assignments: meant[device] ?? [], identity: device.identities.first,
                alsoKnownAs: (ports[key] ?? []).filter { $0.key != device.port }.map(\.value))
        }
        let wished = Dictionary(grouping: assignments, by: \.device)
        for record in attachments where ports[record.canonical.key] == nil {
            rows.append(
                Row(
                    name: name(record.device), device: nil, summary: "(gone)", attachments: [record],
                    assignments: wished[record.device] ?? [], identity: record.device.identity))
        }
        if withAssignments {
            let shown = Set(rows.flatMap(\.assignments))
            for assignment in assignments where !shown.contains(assignment) {
                rows.append(
                    Row(
                        name: name(assignment.device), device: nil, summary: "(not there)",
                        assignments: [assignment], identity: assignment.device.identity))
            }
        }
        return rows.filter { row in
            var concerned = Set(row.attachments.map(\.vm))
            if let device = row.device { concerned.insert(device.source) }
            if withAssignments { concerned.formUnion(row.assignments.map(\.target)) }
            if let vms { return !concerned.isDisjoint(with: vms) }
            return !concerned.isSubset(of: excluding)
        }.map { row in
            // Who asks for one VM is not told what is stored for others, unless the device is that VM's own.
            guard let vms, row.device.map({ !vms.contains($0.source) }) ?? true else { return row }
            var row = row
            row.assignments.removeAll { !vms.contains($0.target) }
            return row
        }.sorted { isBefore($0, $1) }
    }

    /// What a person is told in place of an empty list.
    public func emptiness(of vms: Set<VMName>?) -> String {
        if let vms {
            return "there is no \(deviceClass) device of \(vms.sorted().map(\.description).joined(separator: ", "))"
        }
        return devices.isEmpty ? "this host has no \(deviceClass) devices" : "no other \(deviceClass) devices"
    }

    private func isBefore(_ left: Row, _ right: Row) -> Bool {
        if let a = left.device, let b = right.device, a.source == b.source { return a.port < b.port }
        return left.name < right.name
    }
}

/// `dom0:sda1`, or the whole reference where there is no port.
private func name(_ reference: DeviceReference) -> String {
    reference.port.map { "\(reference.source):\($0)" } ?? reference.description
}

/// "SanDisk Ultra (DATA), 14.9 GiB, read-only".
private func describe(_ device: Device) -> String {
    var parts = device.title.isEmpty ? [] : [device.title]
    if let block = device.block {
        parts.append(formatted(bytes: block.size))
        if block.isReadOnly { parts.append("read-only") }
    }
    return parts.joined(separator: ", ")
}

/// "14.9 GiB": one digit after the point, binary units.
func formatted(bytes: UInt64) -> String {
    var (value, unit) = (bytes * 10, 0)
    let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
    if bytes > UInt64.max / 10 { (value, unit) = (bytes / 1024 * 10, 1) }
    while value >= 10_240, unit < units.count - 1 {
        value = (value + 512) / 1024
        unit += 1
    }
    let name = units.indices.contains(unit) ? units[unit] : "B"
    return unit == 0 || value % 10 == 0 ? "\(value / 10) \(name)" : "\(value / 10).\(value % 10) \(name)"
}
