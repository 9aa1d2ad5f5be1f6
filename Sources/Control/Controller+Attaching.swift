internal import Applying
public import Devices
internal import Hypervisors

extension Controller {
    /// Attaches a device to a VM that runs, and stores the assignment when it is to be there at every start; on a VM
    /// that does not run it is only stored. Answers what is worth saying.
    public func attach(
        _ wanted: DeviceReference, to target: VMName, options: DeviceOptions, persistent: Bool
    ) throws(Failure) -> [String] {
        let assignment: Assignment
        do {
            assignment = try Assignment(target: target, device: wanted, options: options)
        } catch {
            throw Failure(error)
        }
        if qubes != nil, wanted.deviceClass == .pci {
            return try attachCold(assignment, persistent: persistent)
        }
        if qubes != nil, persistent { try refuseClashes(assignment) }
        let device: Device
        switch applier.attach(assignment) {
        case .attached(let found), .alreadyAttached(let found): device = found
        case .notRunning(let found):
            guard persistent else {
                throw Failure(
                    "VM \(target) does not run, and only a running VM can be given a device for now",
                    remedy: "Start it, or give the device for all its starts: add --persistent.",
                    status: .unreachable)
            }
            device = found
        case .failed(let problem) where qubes != nil && problem.reason == .sourceUnknown:
            throw .noSuchVM(wanted.source)
        case .failed(let problem):
            throw Failure(problem)
        }
        guard persistent else { return [] }
        let identity = wanted.identity ?? device.identities.first
        let stored: Assignment
        do {
            let reference =
                wanted.port.map { standard(wanted, $0, identity) } ?? wanted
            stored = try Assignment(target: target, device: reference, options: options)
        } catch {
            throw Failure(error)
        }
        return [try store(stored)]
    }

    /// What can only be given to a VM as it starts.
    private func attachCold(_ assignment: Assignment, persistent: Bool) throws(Failure) -> [String] {
        guard persistent else {
            throw Failure(
                "VM \(assignment.target) can be given a PCI device only as it starts",
                remedy: "Give it for all its starts: add --persistent.", status: .refused)
        }
        guard let device = try present(assignment.device) else {
            throw Failure(
                "\(assignment.device.source) exposes no pci device \(assignment.device)",
                remedy: "'vmdevctl pci list' shows those that there are.", status: .unavailable)
        }
        let stored: Assignment
        do {
            stored = try Assignment(
                target: assignment.target,
                device: standard(
                    assignment.device, device.port, assignment.device.identity ?? device.identities.first),
                options: assignment.options)
        } catch {
            throw Failure(error)
        }
        try refuseUnsupported(stored)
        return [try store(stored), "A VM that runs gets it at its next start."]
    }

    /// Ends attachments and assignments; without `device` all of the class. Answers what was ended.
    public func detach(
        _ device: DeviceReference?, of deviceClass: DeviceClass, from target: VMName
    ) throws(Failure) -> [String] {
        let records = try liveRecords(deviceClass, of: target).filter { $0.vm == target }
        var attached = records.filter { record in device.map { names($0, record.device) } ?? true }
        let plugged = device.flatMap(pluggedIn)
        if attached.isEmpty, let there = plugged {
            // It may have been attached under the name of another port that it is in.
            attached = records.filter { $0.canonical.key == there.canonical.key }
        }
        // Qubes OS takes no device away that is still required.
        if qubes == nil { try detach(attached) }
        let removed = try remove(of: deviceClass, from: target) { assignment in
            guard let device else { return true }
            return names(device, assignment.device, plugged: plugged)
                || attached.contains { names(assignment.device, $0.device) }
        }
        if qubes != nil { try detach(attached) }
        if let device, attached.isEmpty, removed.isEmpty {
            throw Failure(
                "VM \(target) has no \(deviceClass) device \(device), neither attached nor assigned",
                remedy: "'vmdevctl \(deviceClass) list --assignments \(target)' shows those that it has.",
                status: .unavailable)
        }
        return removed.map { "VM \(target): \(deviceClass) device \($0.device) is not assigned any more." }
    }

    private func detach(_ records: [LockRecord]) throws(Failure) {
        for record in records {
            if let problem = applier.detach(record) { throw Failure(problem) }
        }
    }
}
