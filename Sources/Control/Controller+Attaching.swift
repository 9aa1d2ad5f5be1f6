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
        case .failed(let problem):
            throw Failure(problem)
        }
        guard persistent else { return [] }
        let identity = wanted.identity ?? device.identities.first
        let stored: Assignment
        do {
            let reference =
                wanted.port.map {
                    DeviceReference(wanted.deviceClass, source: wanted.source, port: $0, identity: identity)
                } ?? wanted
            stored = try Assignment(target: target, device: reference, options: options)
        } catch {
            throw Failure(error)
        }
        return [try store(stored)]
    }

    /// Ends attachments and assignments; without `device` all of the class. Answers what was ended.
    public func detach(
        _ device: DeviceReference?, of deviceClass: DeviceClass, from target: VMName
    ) throws(Failure) -> [String] {
        let records = try liveRecords(deviceClass).filter { $0.vm == target }
        var attached = records.filter { record in device.map { names($0, record.device) } ?? true }
        let plugged = device.flatMap(pluggedIn)
        if attached.isEmpty, let there = plugged {
            // It may have been attached under the name of another port that it is in.
            attached = records.filter { $0.canonical.key == there.canonical.key }
        }
        for record in attached {
            if let problem = applier.detach(record) { throw Failure(problem) }
        }
        let removed = try remove(of: deviceClass, from: target) { assignment in
            guard let device else { return true }
            return names(device, assignment.device, plugged: plugged)
                || attached.contains { names(assignment.device, $0.device) }
        }
        if let device, attached.isEmpty, removed.isEmpty {
            throw Failure(
                "VM \(target) has no \(deviceClass) device \(device), neither attached nor assigned",
                remedy: "'vmdevctl \(deviceClass) list --assignments \(target)' shows those that it has.",
                status: .unavailable)
        }
        return removed.map { "VM \(target): \(deviceClass) device \($0.device) is not assigned any more." }
    }
}
