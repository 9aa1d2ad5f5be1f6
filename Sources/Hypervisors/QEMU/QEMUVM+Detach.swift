public import Platform

extension QEMUVM {
    /// Unplugs a device, then drops its node and its descriptors; what is gone already is no error.
    public func detach(_ id: AttachmentID, until deadline: Deadline) throws(HypervisorError) {
        let what = "asked to detach \(id)"
        let path = "\(QOM.peripheral)/\(id)"
        // One that came late for an earlier device of the name would be taken for this one's.
        connection.forgetEvents { QEMUVM.isUnplug($0, of: id) }
        let (status, address, unplug) = try call(what) { (connection) throws(QMPError) in
            try connection.results(
                of: .status, QMPCommand<QMP.Nothing>.get("addr", of: path), .unplug(id.description))
        }
        if case .failure(let error) = unplug, !error.isMissing, !error.says("in the process of unplug") {
            throw failure(what, error)
        } else if address.value != nil || unplug.value != nil {
            // A guest that has not started cannot answer an ACPI or PCIe unplug request: a reset answers for it.
            let isPCI = address.value != nil
            if isPCI, let status = status.value, QEMUVM.state(from: status) == .notStarted {
                try call(what, .reset)
            }
            try waitUntilGone(id, until: deadline)
        }
        places[id] = nil
        try drop(id, until: deadline)
    }

    private func waitUntilGone(_ id: AttachmentID, until deadline: Deadline) throws(HypervisorError) {
        guard connection.isOurs else {
            let isGone = try asking(about: id, until: deadline) { () throws(HypervisorError) in
                try !attachments().contains(id)
            }
            if isGone { return }
            throw notLetGo(id)
        }
        let event = try event(about: id, until: deadline)
        if event?.name == "DEVICE_DELETED" { return }
        if event == nil, try !attachments().contains(id) { return }
        throw notLetGo(id)
    }

    /// Where no event tells of it: asks after ever longer pauses until it is so; answers false when the deadline came first.
    private func asking(
        about id: AttachmentID, until deadline: Deadline, _ isSo: () throws(HypervisorError) -> Bool
    ) throws(HypervisorError) -> Bool {
        var pause = Duration.milliseconds(10)
        while try !isSo() {
            guard !deadline.hasPassed else { return false }
            _ = try event(about: id, until: Deadline(after: pause))
            pause = min(pause * 2, .milliseconds(500))
        }
        return true
    }

    private func event(about id: AttachmentID, until deadline: Deadline) throws(HypervisorError) -> QMPEvent? {
        do { return try connection.event(until: deadline) { QEMUVM.isUnplug($0, of: id) } } catch {
            throw failure("asked to detach \(id)", error)
        }
    }

    private func notLetGo(_ id: AttachmentID) -> HypervisorError {
        HypervisorError(
            .refused, "VM \(name): the guest did not let go of \(id)",
            remedy: "Have the guest let go of it (unmount a disk there) and try again, or shut the VM down")
    }

    private static func isUnplug(_ event: QMPEvent, of id: AttachmentID) -> Bool {
        ["DEVICE_DELETED", "DEVICE_UNPLUG_GUEST_ERROR"].contains(event.name)
            && event.device == id.description
    }

    private func drop(_ id: AttachmentID, until deadline: Deadline) throws(HypervisorError) {
        let what = "asked to drop the disk of \(id)"
        // A device leaves the tree a moment before it lets go of its disk, and it is the event that tells of that. What does
        // not come to pass in time is told by the removal below.
        if !connection.isOurs {
            _ = try asking(about: id, until: deadline) { () throws(HypervisorError) in
                let removal = try call(what) { (connection) throws(QMPError) in
                    try connection.results(of: .removeNode(id.description))
                }
                if case .failure(let error) = removal { return !error.says("is in use") }
                return true
            }
        }
        let (removal, chardev, sets) = try call(what) { (connection) throws(QMPError) in
            try connection.results(of: .removeNode(id.description), .removeChardev(id.description), .sets)
        }
        if case .failure(let error) = chardev, !error.isMissing { throw failure(what, error) }
        if case .failure(let error) = removal, !error.isMissing { throw failure(what, error) }
        let ours: [QMP.FDSet]
        do { ours = try sets.get().filter { $0.members.contains { $0.opaque == id.description } } } catch {
            throw failure(what, error)
        }
        let closing = ours.map { QMPCommand.removeSet($0.number) } + [.letGo(id.claimName)]
        let results = try call(what) { (connection) throws(QMPError) in try connection.results(of: closing) }
        for case .failure(let error) in results where !error.isMissing { throw failure(what, error) }
    }
}
