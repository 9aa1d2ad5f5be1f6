internal import Devices

/// Where a disk goes in a domain; everything else libvirt places by itself.
struct LibvirtPlace: Hashable, Sendable {
    /// The kind of bus: "virtio", "scsi".
    let bus: String
    /// The disk's name in the description, by which libvirt tells disks apart ("vda"); no guest sees it.
    let target: String
}

extension LibvirtVM {
    /// Finds out whether there is room for each: first for the devices of this host, whose places libvirt chooses, from the
    /// first on, then for those of other VMs, which get the last.
    public func place(_ requests: [AttachRequest]) throws(HypervisorError) -> [HypervisorError?] {
        guard !requests.isEmpty else { return [] }
        let description = try description("asked for its devices")
        return try answers(to: requests, own: { place($0, description) }) { served throws(HypervisorError) in
            try placeServed(served, description)
        }
    }

    /// In order: PCI first, then SCSI.
    private func place(_ requests: [AttachRequest], _ description: LibvirtDescription) -> [HypervisorError?] {
        var pci = description.isConventional ? description.freeSlots : description.freePorts
        // What can only be on PCI has its places set aside.
        var reserved = requests.count { $0.device.deviceClass == .pci }
        let hasSCSI = !description.scsiControllers.isEmpty
        var taken = description.targets
        func disk(on bus: String) -> LibvirtPlace {
            let target = LibvirtVM.freeTarget(bus == "virtio" ? "vd" : "sd", taken)
            taken.insert(target)
            return LibvirtPlace(bus: bus, target: target)
        }
        machine.setAside = 0
        return requests.map { request in
            switch request.device.deviceClass {
            case .block:
                if !request.options.isCDROM, pci > (hasSCSI ? reserved : 0) {
                    pci -= 1
                    machine.setAside += 1
                    places[request.id] = disk(on: "virtio")
                } else if hasSCSI {
                    places[request.id] = disk(on: "scsi")
                } else {
                    return noRoom(for: request, description)
                }
            case .pci:
                reserved -= 1
                guard pci > 0 else { return noRoom(for: request, description) }
                pci -= 1
                machine.setAside += 1
            case .usb:
                guard description.hasUSB else { return noRoom(for: request, description) }
            case .mic: break
            }
            return nil
        }
    }

    func noRoom(for request: AttachRequest, _ description: LibvirtDescription) -> HypervisorError {
        let what = "VM \(name) has no free place for \(request.device.name)"
        let missing: (String, String) =
            if request.device.deviceClass == .usb {
                ("it has no USB controller", "<controller type='usb' model='qemu-xhci'/>")
            } else if request.options.isCDROM {
                ("an optical drive needs a SCSI controller", "<controller type='scsi' model='virtio-scsi'/>")
            } else if description.isConventional {
                ("no slot of its PCI bus is free", "<controller type='scsi' model='virtio-scsi'/>")
            } else {
                ("no PCI Express port is free", "<controller type='pci' model='pcie-root-port'/>")
            }
        return HypervisorError(
            .noRoom, "\(what): \(missing.0)",
            remedy: "Add this to its devices with 'virsh edit \(name)', and start it again: \(missing.1)")
    }

    /// "vda" to "vdz", "vdaa" and on.
    private static func freeTarget(_ prefix: String, _ taken: Set<String>) -> String {
        let letters = "abcdefghijklmnopqrstuvwxyz".map(String.init)
        let names = letters + letters.flatMap { first in letters.map { first + $0 } }
        return names.lazy.map { prefix + $0 }.first { !taken.contains($0) } ?? prefix + "zzz"
    }
}
