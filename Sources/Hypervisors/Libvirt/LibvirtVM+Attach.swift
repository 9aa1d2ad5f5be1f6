internal import Devices
internal import Glibc
public import Platform

extension LibvirtVM {
    /// Plugs one device in, by a description with an alias of ours.
    public func attach(_ request: AttachRequest) throws(HypervisorError) {
        guard request.device.source.isHost else { return try attachServed(request) }
        if places[request.id] == nil, let obstacle = try place([request]).first ?? nil { throw obstacle }
        let device: XMLElement
        var claim: Descriptor?
        var recheck: String?
        switch (request.device.details, request.backing) {
        case (.block(let block), .open(let opened)):
            claim = opened
            device = try disk(block, opened, request)
        case (.usb, .open(let opened)):
            claim = opened
            let node = try node(of: opened, request.device)
            recheck = node
            device = try usb(node, request)
        case (.pci(let pci), .byName): device = try function(pci, request)
        case (.mic, .byName): return try checkPresence(ofMic: request)
        default:
            throw HypervisorError(
                .unsupported, "VM \(name): \(request.device.name) cannot be attached as it is on libvirt")
        }
        guard process.isAlive else {
            throw HypervisorError(.unreachable, "VM \(name), asked to attach \(request.device.name): it has ended")
        }
        do {
            try transport.attach(device.xml, to: domain, by: Deadline(after: timeout))
        } catch {
            throw fault(attaching: request, error, claim: claim)
        }
        guard let recheck, let claim else { return }
        do { try checkAgain(recheck, claim, request) } catch {
            try? detach(request.id, until: Deadline(after: timeout))
            throw error
        }
    }

    /// Takes a device away; what is not there is no error.
    ///
    /// A guest that has not started cannot let go of what is on PCI: a reset does it for it.
    public func detach(_ id: AttachmentID, until deadline: Deadline) throws(HypervisorError) {
        let what = "asked to detach \(id)"
        places[id] = nil
        guard let device = try description(what).aliases[id] else {
            if transport.reachesQEMU { try machine.detach(id, until: deadline) }
            return
        }
        guard device.name != "sound" else {
            throw HypervisorError(
                .unsupported, "VM \(name): libvirt takes no sound card from a domain that is there",
                remedy: "Remove the assignment; the VM has it no more after its next start")
        }
        do throws(LibvirtFailure) {
            try transport.detach(device.xml, alias: id.alias, from: domain, by: deadline)
        } catch {
            // It may be on its way out already.
            guard error.reason.contains("in the process of unplug") || error.reason.contains("no device found")
            else {
                throw HypervisorError(error, "VM \(name), \(what)")
            }
        }
        if try state() == .notStarted {
            try ask(what) { (libvirt, deadline) throws(LibvirtFailure) in try libvirt.reset(domain, by: deadline) }
        }
        while try description(what).aliases[id] != nil {
            guard !deadline.hasPassed else {
                throw HypervisorError(
                    .refused, "VM \(name): the guest did not let go of \(id)",
                    remedy: "Have the guest let go of it (unmount a disk there) and try again, or shut the VM down")
            }
            try ask(what) { (libvirt, _) throws(LibvirtFailure) in
                try libvirt.waitForNews(of: domain, until: deadline)
            }
        }
    }

    private func disk(
        _ block: Device.Block, _ claim: Descriptor, _ request: AttachRequest
    ) throws(HypervisorError) -> XMLElement {
        guard let place = places[request.id] else {
            throw HypervisorError(.noRoom, "VM \(name) has no place for \(request.device.name)")
        }
        let node = try node(of: claim, request.device)
        return XMLElement(
            "disk", ["type": "block", "device": request.options.isCDROM ? "cdrom" : "disk"],
            [
                XMLElement("driver", ["name": "qemu", "type": "raw"]), XMLElement("source", ["dev": node]),
                XMLElement("target", ["dev": place.target, "bus": place.bus]),
                request.readOnly || request.options.isCDROM ? XMLElement("readonly") : nil,
                XMLElement("serial", text: LibvirtVM.serial(block.serial)),
                XMLElement("alias", ["name": request.id.alias]),
            ])
    }

    /// The node that we have open. While it is open its number cannot become another disk's.
    func node(of claim: Descriptor, _ device: Device) throws(HypervisorError) -> String {
        do {
            return try resolved("/proc/self/fd/\(claim.raw)")
        } catch {
            throw HypervisorError(.refused, "VM \(name): \(device.name) has gone: \(error)")
        }
    }

    /// libvirt takes letters, digits, blanks and `-_+.` only; what else a serial number may hold becomes `_`.
    static func serial(_ text: String) -> String {
        String(
            text.map { character in
                character.isASCII && (character.isLetter || character.isNumber || " -_+.".contains(character))
                    ? character : "_"
            })
    }

    private func fault(
        attaching request: AttachRequest, _ failure: LibvirtFailure, claim: Descriptor?
    ) -> HypervisorError {
        let device = request.device.name
        let text = failure.reason
        guard case .refused = failure else {
            return HypervisorError(failure, "VM \(name), asked to attach \(device)")
        }
        if text.contains("Failed to get"), text.contains("lock") {
            let holder = claim.flatMap { DiskUser.find(of: $0, besides: process.pid) }
            return HypervisorError(
                .taken, "\(device) is in use by another QEMU process\(holder.map { " (\($0))" } ?? "")",
                remedy: "Shut that VM down, or detach \(device) from it")
        }
        guard let known = LibvirtFault.all.first(where: { text.contains($0.text) }) else {
            return HypervisorError(failure, "VM \(name), asked to attach \(device)")
        }
        return HypervisorError(
            known.kind, "VM \(name): \(device) \(known.message) (\(text))", remedy: known.remedy)
    }
}

/// A text of libvirt's, or of QEMU's that it passes on, and what it means to the user.
private struct LibvirtFault {
    let text: String
    let kind: HypervisorError.Kind
    /// Continues "VM x: dom0:sda …".
    let message: String
    var remedy: String?

    static let all = [
        LibvirtFault(
            text: "non unique alias", kind: .refused, message: "or another device of its name is attached already",
            remedy: "Detach it first"),
        LibvirtFault(
            text: "already exists", kind: .refused, message: "or another device of its name is attached already",
            remedy: "Detach it first"),
        LibvirtFault(
            text: "is in use by driver", kind: .taken, message: "is another domain's",
            remedy: "Stop that domain, or detach the device from it"),
        LibvirtFault(
            text: "No more available PCI", kind: .noRoom, message: "has no free place",
            remedy: "Add to its devices: <controller type='pci' model='pcie-root-port'/>"),
        LibvirtFault(
            text: "not available for", kind: .noRoom,
            message: "has no free place but that of a device of another VM, of which libvirt does not know",
            remedy: "Add to its devices: <controller type='pci' model='pcie-root-port'/>"),
        LibvirtFault(
            text: "Permission conflict on node", kind: .taken, message: "is in use by another disk of the same VM",
            remedy: "Take the other disk from the domain's description"),
        LibvirtFault(text: "No such file or directory", kind: .refused, message: "has gone"),
        LibvirtFault(text: "Permission denied", kind: .forbidden, message: "may not be opened by its QEMU"),
        LibvirtFault(
            text: "host doesn't support passthrough", kind: .unsupported, message: "has no IOMMU that is on",
            remedy:
                "Turn the IOMMU on in the firmware, and with intel_iommu=on on the kernel's command line on Intel"),
    ]
}
