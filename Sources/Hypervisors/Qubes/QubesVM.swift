internal import Devices
internal import Platform

/// A VM of Qubes OS that runs. qubesd itself says who has which device, and gives one to nobody else.
final class QubesVM: RunningVM {
    let name: VMName
    private let admin: QubesAdmin

    init(name: VMName, admin: QubesAdmin) {
        self.name = name
        self.admin = admin
    }

    var custody: Custody { .hypervisor }

    func state() throws(HypervisorError) -> VMState {
        let state: String
        do { state = try admin.state(of: name) } catch { throw HypervisorError(error) }
        return switch state {
        case "Running", "Transient": .running
        case "Paused", "Suspended": .paused(state.lowercased())
        default: .ended(state.lowercased())
        }
    }

    func attachments() throws(HypervisorError) -> Set<AttachmentID> {
        Set(try links(DeviceClass.allCases).compactMap(\.attachmentID))
    }

    /// Two disks that are to have one name in the guest cannot both arrive; the rest is qubesd's to say.
    func place(_ requests: [AttachRequest]) throws(HypervisorError) -> [HypervisorError?] {
        var taken = Set(try links([.block]).compactMap { $0["frontend-dev"] })
        return requests.map { request in
            if request.device.deviceClass == .pci {
                return HypervisorError(
                    .notVerified,
                    "VM \(name) runs without \(request.device.name), and Qubes OS gives PCI devices only to a VM that is being started",
                    remedy: "See why it did not at the last start: journalctl -u qubesd. Then start it anew")
            }
            guard request.device.deviceClass == .block, let wanted = request.options["frontend-dev"] else {
                return nil
            }
            guard !taken.insert(wanted).inserted else { return nil }
            return HypervisorError(
                .noRoom, "VM \(name): \(request.device.name) is to be \(wanted), and another disk is that already",
                remedy: "Give one of them another frontend-dev=.")
        }
    }

    func attach(_ request: AttachRequest) throws(HypervisorError) {
        if case .alreadyThere = request.backing {
            throw HypervisorError(.unsupported, "\(request.device.name) is only to be verified, not attached")
        }
        // qubesd takes a device that the VM has already for success in some classes and for an error in others.
        if try links([request.device.deviceClass]).contains(where: { $0.isOf(request.device) }) {
            throw HypervisorError(.refused, "VM \(name) has \(request.device.name) already")
        }
        do {
            try admin.attach(request.device.reference, to: name, options: request.qubesOptions)
        } catch {
            throw HypervisorError(error)
        }
    }

    func verify(_ requests: [AttachRequest]) throws(HypervisorError) -> [HypervisorError?] {
        guard !requests.isEmpty else { return [] }
        let links = try links(Set(requests.map(\.device.deviceClass)).sorted())
        return requests.map { request in
            guard let link = links.first(where: { $0.isOf(request.device) }) else {
                return HypervisorError(
                    .notVerified, "VM \(name): qubesd does not have \(request.device.name) among its devices",
                    remedy: "See what it says itself: journalctl -u qubesd.")
            }
            return link.difference(from: request).map { difference in
                HypervisorError(.notVerified, "VM \(name): \(request.device.name) \(difference)")
            }
        }
    }

    func detach(_ id: AttachmentID, until deadline: Deadline) throws(HypervisorError) {
        let mine = try links(DeviceClass.allCases).filter { $0.attachmentID == id }
        for link in mine {
            guard let reference = link.reference else { continue }
            do { try admin.detach(reference, from: name) } catch { throw HypervisorError(error) }
        }
        guard !mine.isEmpty, try attachments().contains(id) else { return }
        throw HypervisorError(
            .refused,
            "VM \(name): qubesd still has \(id.description) attached, although it said that it took it away")
    }

    /// It runs already: Qubes OS starts a VM whole.
    func resume() throws(HypervisorError) {
        let state = try state()
        guard state == .running else { throw HypervisorError(.refused, "VM \(name) is \(state)") }
    }

    func end() throws(HypervisorError) {
        do throws(QubesError) {
            do throws(QubesError) { try admin.kill(name) } catch {
                // It may have ended by itself.
                guard case .exception = error.kind else { throw error }
            }
            let state = try admin.state(of: name)
            if state == "Halted" { return }
            let hasEnded = try admin.wait(on: name, until: Deadline(after: admin.timeout)) {
                () throws(QubesError) in
                try admin.state(of: name) == "Halted"
            }
            guard hasEnded else { throw QubesError(.refused, "VM \(name) does not end: it is \(state)") }
        } catch {
            throw HypervisorError(error)
        }
    }

    private func links(_ classes: [DeviceClass]) throws(HypervisorError) -> [QubesLink] {
        var links: [QubesLink] = []
        for answer in admin.attached(classes.map { (name, $0) }) {
            do { links += try answer.get().rows } catch { throw HypervisorError(error) }
        }
        return links
    }
}

extension AttachRequest {
    /// The options with what was decided about writing.
    fileprivate var qubesOptions: DeviceOptions {
        guard device.deviceClass == .block, readOnly, options.readOnly != true else { return options }
        let rest = options.entries.filter { $0.key != "read-only" }.map { (key: $0.key, value: $0.value) }
        return (try? DeviceOptions(rest + [(key: "read-only", value: "yes")], of: .block)) ?? options
    }
}

extension QubesLink {
    /// Whether it is the device, by source and port.
    func isOf(_ device: Device) -> Bool {
        source == device.source && deviceClass == device.deviceClass && port.map(device.isIn) == true
    }

    /// The name by which the rest of us knows what is attached; nil for what is in no port.
    public var attachmentID: AttachmentID? {
        port.map { port in
            AttachmentID(
                of: Device(
                    deviceClass, source: source, port: port, title: "",
                    canonical: CanonicalDevice(key: QubesDevice.key(source, deviceClass, port))))
        }
    }

    /// In what the VM has it otherwise than asked for; nil when in nothing.
    func difference(from request: AttachRequest) -> String? {
        if let identity, let wanted = request.device.identities.first, identity != wanted {
            return "is attached, but what is attached is \(identity) and not \(wanted)"
        }
        guard deviceClass == .block else { return nil }
        let isReadOnly = self["read-only"].map { ["1", "yes", "true", "on"].contains($0.lowercased()) }
        if let isReadOnly, isReadOnly != request.readOnly {
            return "is attached, but \(isReadOnly ? "read-only" : "for writing")"
        }
        if let wanted = request.options["frontend-dev"], let name = self["frontend-dev"], name != wanted {
            return "is attached, but as \(name) and not as \(wanted)"
        }
        return nil
    }
}
