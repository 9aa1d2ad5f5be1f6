internal import Devices

extension QEMUVM {
    /// Plugs in a function of the host's that is bound to vfio-pci. QEMU opens /dev/vfio/GROUP itself.
    func attach(_ function: Device.PCI, _ request: AttachRequest) throws(HypervisorError) {
        guard let place = places[request.id], let slot = place.pciAddress else {
            throw HypervisorError(
                .noRoom, "VM \(name) has no free place for \(request.device.name): it can only be on PCI")
        }
        do {
            try connection.call(
                .plug(
                    QMP.Device(
                        driver: "vfio-pci", bus: place.bus, addr: slot, id: request.id.description,
                        host: function.address)))
        } catch {
            throw fault(attaching: request, function, error)
        }
    }

    /// Checks functions by QOM: that each is realized, that it is the very one, and where it is.
    func verifyFunctions(_ requests: [AttachRequest]) throws(HypervisorError) -> [HypervisorError?] {
        let paths = requests.map { $0.id.path }
        let (realized, hosts, buses, slots) = try ask(
            "asked for its PCI devices", paths.map { QMPCommand<Bool>.get("realized", of: $0) },
            paths.map { QMPCommand<String>.get("host", of: $0) },
            paths.map { QMPCommand<String>.get("parent_bus", of: $0) },
            paths.map { QMPCommand<Int64>.get("addr", of: $0) })
        return zip(zip(requests, realized), zip(hosts, zip(buses, slots))).map { first, rest -> HypervisorError? in
            let ((request, isRealized), (host, (bus, slot))) = (first, rest)
            do throws(HypervisorError) {
                try checkPlug(request, bus: bus, address: slot)
                guard isRealized == true else { throw notVerified(request, "QEMU has not finished with it") }
                guard let host, host == request.device.pci?.address else {
                    throw notVerified(request, "it is the host's '\(host ?? "")'")
                }
                return nil
            } catch {
                return error
            }
        }
    }

    /// VFIO's refusals (hw/vfio in QEMU 7.2 to 10.0), each of which ends with the kernel's reason.
    private func fault(
        attaching request: AttachRequest, _ function: Device.PCI, _ error: QMPError
    ) -> HypervisorError {
        let what = "VM \(name): \(request.device.name)"
        let node = "/dev/vfio/\(function.group.map(String.init) ?? "GROUP")"
        let known: (HypervisorError.Kind, String, String?)? =
            if error.says("no iommu_group found") {
                (
                    .unsupported, "has no IOMMU group",
                    "Turn the IOMMU on in the firmware, and with intel_iommu=on on the kernel's command line on Intel"
                )
            } else if error.says("is not viable") {
                (
                    .taken,
                    "is in an IOMMU group of which the host uses others\(companions(of: function))",
                    "Assign those to the same VM too, or take their drivers from them"
                )
            } else if error.says("failed to open /dev/vfio/"), error.says("Permission denied") {
                (
                    .forbidden, "may not be opened by its QEMU: \(node) belongs to somebody else",
                    "Let its user have it: chown USER \(node), or an udev rule for SUBSYSTEM==\"vfio\""
                )
            } else if error.says("Device or resource busy"), error.says("/dev/vfio/") {
                (
                    .taken, "is in use by another process: \(node) is open",
                    "Find it with: fuser -v \(node)"
                )
            } else if error.says("failed to open /dev/vfio/"), error.says("No such file or directory") {
                (
                    .refused, "is not bound to vfio-pci for its QEMU: there is no such node",
                    "See that \(node) is in QEMU's own /dev (PrivateDevices=no)"
                )
            } else if error.says("ailed to set iommu for container"), error.says("Operation not permitted") {
                (
                    .refused, "cannot be isolated: the IOMMU does not remap interrupts",
                    """
                    Turn interrupt remapping on (intremap), or accept the risk with \
                    vfio_iommu_type1.allow_unsafe_interrupts=1 on the kernel's command line
                    """
                )
            } else if error.says("VFIO_MAP_DMA", "Cannot allocate memory") {
                (
                    .refused, "cannot reach the memory of the guest, all of which QEMU has to lock",
                    "Allow it in the VM's unit: LimitMEMLOCK=infinity"
                )
            } else if error.says("no such host device") {
                (.refused, "has gone", "Put it in again")
            } else {
                nil
            }
        guard let (kind, message, remedy) = known else { return fault(attaching: request, error) }
        return HypervisorError(kind, "\(what) \(message) (\(error))", remedy: remedy)
    }

    private func companions(of function: Device.PCI) -> String {
        function.companions.isEmpty ? "" : ": " + function.companions.joined(separator: ", ")
    }
}
