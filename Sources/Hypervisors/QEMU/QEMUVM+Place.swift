internal import Devices

extension QEMUVM {
    /// Finds a place for each request: PCI Express ports first, then the conventional PCI bus, then SCSI, then USB.
    public func place(_ requests: [AttachRequest]) throws(HypervisorError) -> [HypervisorError?] {
        guard !requests.isEmpty else { return [] }
        let survey = try QEMUSurvey(of: self)
        let opticals = requests.count { $0.options.isCDROM }
        let usbDevices = requests.count { $0.device.deviceClass == .usb }
        let disks = requests.count - opticals - usbDevices

        var pci = disks == 0 ? [] : try survey.freePorts(disks) + survey.slots
        let beyond = max(0, disks - pci.count)
        var targets = opticals + beyond == 0 ? [] : try survey.freeTargets(opticals + beyond)
        // The optical drives' places are set aside: nothing else can take them.
        let beyondSCSI = max(0, opticals + beyond - targets.count)
        let wantedUSB = usbDevices + (disks == 0 ? 0 : beyondSCSI)
        var usb = wantedUSB == 0 ? [] : try survey.freeUSBPorts(wantedUSB)
        // What is a USB device cannot be anywhere else: its ports are set aside too.
        var forUSB = usb.prefix(usbDevices)
        usb.removeFirst(forUSB.count)
        var forOpticals = targets.prefix(opticals)
        targets.removeFirst(forOpticals.count)

        var result: [HypervisorError?] = []
        for request in requests {
            let place: QEMUPlace?
            if request.device.deviceClass == .usb {
                places[request.id] = forUSB.popFirst()
                result.append(places[request.id] == nil ? noRoomUSB(for: request) : nil)
                continue
            }
            if request.options.isCDROM {
                place = forOpticals.popFirst()
            } else {
                place = pci.popFirst() ?? targets.popFirst() ?? usb.popFirst()
            }
            places[request.id] = place
            let without = result.count { $0 != nil }
            result.append(place == nil ? try noRoom(for: request, after: without, survey) : nil)
        }
        return result
    }

    /// Says what to add for a device without a place; `before` others had none either, and each needs its own port.
    private func noRoom(
        for request: AttachRequest, after before: Int, _ survey: QEMUSurvey
    ) throws(HypervisorError) -> HypervisorError {
        let what = "VM \(name) has no free place for \(request.device.name)"
        let controller = survey.rootDevices == 0 ? "virtio-scsi-device" : "virtio-scsi-pci"
        if request.options.isCDROM {
            return HypervisorError(
                .noRoom, "\(what): an optical drive needs a SCSI controller",
                remedy: "Start its QEMU with: -device \(controller),id=vmdev-scsi")
        }
        let argument: String
        if survey.isConventional || survey.rootDevices == 0 {
            argument = "-device \(controller),id=vmdev-scsi"
        } else {
            let number = try survey.lastChassis() + Int64(before) + 1
            argument = "-device pcie-root-port,id=vmdev-port\(number),bus=pcie.0,chassis=\(number),slot=\(number)"
        }
        return HypervisorError(
            .noRoom, "\(what): no hot-pluggable PCI, SCSI or USB place is free",
            remedy: "Start its QEMU with: \(argument)")
    }
}

extension Array {
    /// Takes the first element; nil when there is none.
    fileprivate mutating func popFirst() -> Element? { isEmpty ? nil : removeFirst() }
}
