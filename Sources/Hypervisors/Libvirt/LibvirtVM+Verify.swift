internal import Devices

extension LibvirtVM {
    /// Looks for each device in the live description, and whether it is what was asked for; QEMU is asked for those of other
    /// VMs.
    public func verify(_ requests: [AttachRequest]) throws(HypervisorError) -> [HypervisorError?] {
        try answers(to: requests, own: verifyOwn) { served throws(HypervisorError) in try machine.verify(served) }
    }

    private func verifyOwn(_ requests: [AttachRequest]) throws(HypervisorError) -> [HypervisorError?] {
        guard !requests.isEmpty else { return [] }
        let description = try description("asked for its devices")
        let devices = description.aliases
        return requests.map { request in
            guard let device = devices[request.id] else {
                return notVerified(request, "it is not among its devices")
            }
            let objection: String? =
                switch request.device.details {
                case .block(let block): LibvirtVM.objection(toDisk: device, block, request)
                case .usb(let usb): objection(toUSB: device, usb)
                case .pci(let pci): objection(toFunction: device, pci)
                case .mic(let mic): objection(toSound: device, mic, in: description)
                default: "it is of a kind that is not known here"
                }
            return objection.map { notVerified(request, $0) }
        }
    }

    private static func objection(
        toDisk disk: XMLElement, _ block: Device.Block, _ request: AttachRequest
    ) -> String? {
        guard disk.name == "disk", disk["type"] == "block", let source = disk.first("source")?["dev"] else {
            return "the device of its name is no disk of the host"
        }
        guard source.split(separator: "/").last == block.node.split(separator: "/").last else {
            return "it is the host's \(source)"
        }
        guard disk.first("address") != nil else { return "it has no place in the machine" }
        let isReadOnly = disk.first("readonly") != nil
        guard isReadOnly == (request.readOnly || request.options.isCDROM) else {
            return isReadOnly ? "it cannot be written" : "it can be written, and must not be"
        }
        let serial = disk.first("serial")?.text ?? ""
        guard serial == LibvirtVM.serial(block.serial) else { return "it has the serial number '\(serial)' there" }
        return nil
    }

    /// libvirt said yes, and it is not so.
    private func notVerified(_ request: AttachRequest, _ reason: String) -> HypervisorError {
        HypervisorError(
            .notVerified, "VM \(name): \(request.device.name) is not there as it was asked for: \(reason)",
            remedy: "Detach it and attach it again")
    }
}
