public import Platform

extension QEMUVM {
    /// Unplugs a device, then drops its node and its descriptors; what is gone already is no error.
    public func detach(_ id: AttachmentID, until deadline: Deadline) throws(HypervisorError) {
        let what = "asked to detach \(id)"
        let path = "\(QOM.peripheral)/\(id)"
        // One that came late for an earlier device of the name would be taken for this one's.
        connection.forgetEvents { QEMUVM.isUnplug($0, of: id) }
        let results = try call(
            what,
            [
                QMPCommand("query-status"), .get("addr", of: path),
                QMPCommand("device_del", ["id": .string(id.description)]),
            ])
        if case .failure(let error)? = results.last, !error.isMissing, !error.says("in the process of unplug") {
            throw failure(what, error)
        } else if results[safe: 1]?.value != nil || results.last?.value != nil {
            // A guest that has not started cannot answer an ACPI or PCIe unplug request: a reset answers for it.
            let isPCI = results[safe: 1]?.value != nil
            if isPCI, results.first?.value?["status"]?.string == "prelaunch" {
                try call(what, QMPCommand("system_reset"))
            }
            try waitUntilGone(id, until: deadline)
        }
        places[id] = nil
        try drop(id)
    }

    private func waitUntilGone(_ id: AttachmentID, until deadline: Deadline) throws(HypervisorError) {
        let event: QMPEvent?
        do {
            event = try connection.event(until: deadline) { QEMUVM.isUnplug($0, of: id) }
        } catch {
            throw failure("asked to detach \(id)", error)
        }
        if event?.name == "DEVICE_DELETED" { return }
        if event == nil, try !attachments().contains(id) { return }
        throw HypervisorError(
            .refused, "VM \(name): the guest did not let go of \(id)",
            remedy: "Unmount it in the guest and try again, or shut the VM down")
    }

    private static func isUnplug(_ event: QMPEvent, of id: AttachmentID) -> Bool {
        ["DEVICE_DELETED", "DEVICE_UNPLUG_GUEST_ERROR"].contains(event.name)
            && event.data["device"]?.string == id.description
    }

    private func drop(_ id: AttachmentID) throws(HypervisorError) {
        let what = "asked to drop the disk of \(id)"
        let results = try call(
            what,
            [
                QMPCommand("blockdev-del", ["node-name": .string(id.description)]), QMPCommand("query-fdsets"),
            ])
        if case .failure(let error)? = results.first, !error.isMissing { throw failure(what, error) }
        let sets = (results.last?.value?.array ?? []).filter { set in
            (set["fds"]?.array ?? []).contains { $0["opaque"]?.string == id.description }
        }
        let removals = sets.compactMap { $0["fdset-id"]?.integer }.map {
            QMPCommand("remove-fd", ["fdset-id": .integer($0)])
        }
        let closing = QMPCommand("closefd", ["fdname": .string(id.claimName)])
        for case .failure(let error) in try call(what, removals + [closing]) where !error.isMissing {
            throw failure(what, error)
        }
    }
}
