internal import Devices

extension QEMUVM {
    /// Finds a place for each request: PCI Express ports first, then the conventional PCI bus, then SCSI, then USB.
    ///
    /// An earlier request is never left without a place for the sake of a later one; but a disk moves on to SCSI or USB
    /// for what can only be on PCI.
    public func place(_ requests: [AttachRequest]) throws(HypervisorError) -> [HypervisorError?] {
        guard !requests.isEmpty else { return [] }
        let survey = try survey()
        let opticals = requests.count { $0.options.isCDROM }
        let functions = requests.count { $0.needsPCI }
        let usbDevices = requests.count { $0.device.deviceClass == .usb }
        let disks = requests.count - opticals - functions - usbDevices

        var pci: [QEMUPlace] = []
        if disks + functions > 0 {
            pci = try survey.freePorts(disks + functions + setAside) + survey.slots
            pci.removeLast(min(setAside, pci.count))
        }
        let beyond = min(disks, max(0, disks + functions - pci.count))
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
        var movable: [AttachmentID] = []
        for request in requests {
            let place: QEMUPlace?
            if request.device.deviceClass == .usb {
                place = forUSB.popFirst()
            } else if request.options.isCDROM {
                place = forOpticals.popFirst()
            } else if let free = pci.popFirst() {
                place = free
                if !request.needsPCI { movable.append(request.id) }
            } else if let other = request.needsPCI && movable.isEmpty ? nil : targets.popFirst() ?? usb.popFirst() {
                if request.needsPCI, let disk = movable.popLast() {
                    place = places[disk]
                    places[disk] = other
                } else {
                    place = other
                }
            } else {
                place = nil
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
        if request.device.deviceClass == .usb { return noRoomUSB(for: request) }
        let controller = survey.rootDevices == 0 ? "virtio-scsi-device" : "virtio-scsi-pci"
        if request.options.isCDROM {
            return HypervisorError(
                .noRoom, "\(what): an optical drive needs a SCSI controller",
                remedy: "Start its QEMU with: -device \(controller),id=vmdev-scsi")
        }
        if request.needsPCI, survey.isConventional || survey.rootDevices == 0 {
            return HypervisorError(
                .noRoom, "\(what): it needs a slot of a PCI bus that takes devices while the machine is on",
                remedy: survey.isConventional
                    ? "Leave a slot of pci.0 free" : "Use a machine with PCI Express, such as -machine q35")
        }
        let argument: String
        if survey.isConventional || survey.rootDevices == 0 {
            argument = "-device \(controller),id=vmdev-scsi"
        } else {
            let number = try survey.lastChassis() + Int64(before) + 1
            argument = "-device pcie-root-port,id=vmdev-port\(number),bus=pcie.0,chassis=\(number),slot=\(number)"
        }
        return HypervisorError(
            .noRoom, "\(what): no hot-pluggable \(request.needsPCI ? "PCI" : "PCI, SCSI or USB") place is free",
            remedy: "Start its QEMU with: \(argument)")
    }
}

extension AttachRequest {
    /// Whether it can be nowhere but on PCI.
    var needsPCI: Bool { device.deviceClass == .mic || device.deviceClass == .pci }
}

extension Array {
    /// Takes the first element; nil when there is none.
    fileprivate mutating func popFirst() -> Element? { isEmpty ? nil : removeFirst() }
}
