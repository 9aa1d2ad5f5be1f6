internal import Devices
internal import Platform

extension QEMUVM {
    /// Hands the open node over and plugs the device in at its port.
    ///
    /// QEMU opens its own copy of the node from the set, so that the set is dropped at once. It looks for no device by
    /// itself then, which it would do only while the VM runs, and without a word when there is none.
    func attachUSB(_ request: AttachRequest) throws(HypervisorError) {
        if case .usbStream(let stream) = request.backing { return try attachUSB(stream, request) }
        guard case .open(let node) = request.backing, case .usb(let port, let bus)? = places[request.id] else {
            throw HypervisorError(
                .unsupported, "VM \(name): \(request.device.name) cannot be attached as a USB device on QEMU")
        }
        let set: QMP.FDSetNumber
        do { set = try connection.call(.makeSet(of: node, note: request.id.description)) } catch {
            throw fault(attaching: request, error, claim: node)
        }
        do {
            let (plug, _) = try connection.results(
                of: .plug(
                    QMP.Device(
                        driver: "usb-host", bus: bus, port: String(port), id: request.id.description,
                        hostdevice: "/dev/fdset/\(set.number)")), .removeSet(set.number))
            _ = try plug.get()
        } catch {
            throw fault(attaching: request, error, claim: node)
        }
    }

    /// Checks USB devices by QOM: what they are, whether the host's device is in them, and where they are.
    func verifyUSB(_ requests: [AttachRequest]) throws(HypervisorError) -> [HypervisorError?] {
        try letArrive(requests.filter { $0.device.deviceClass == .usb && !$0.device.source.isHost })
        let paths = requests.map { "\(QOM.peripheral)/\($0.id)" }
        let (types, attached, buses, ports) = try ask(
            "asked for its USB devices", paths.map { QMPCommand<String>.get("type", of: $0) },
            paths.map { QMPCommand<Bool>.get("attached", of: $0) },
            paths.map { QMPCommand<String>.get("parent_bus", of: $0) },
            paths.map { QMPCommand<String>.get("port", of: $0) })
        return zip(zip(requests, types), zip(attached, zip(buses, ports))).map { device, rest in
            let ((request, type), (isAttached, (bus, port))) = (device, rest)
            return objection(to: request, type: type, isAttached: isAttached, bus: bus, port: port)
        }
    }

    private func objection(
        to request: AttachRequest, type: String?, isAttached: Bool?, bus: String?, port: String?
    ) -> HypervisorError? {
        guard let type, let bus, let port else { return notVerified(request, "it is not among its devices") }
        let isOfHost = request.device.source.isHost
        guard type == (isOfHost ? "usb-host" : "usb-redir") else {
            return notVerified(request, "'\(type)' is no device of \(isOfHost ? "this host" : "another VM")")
        }
        guard isAttached == true else {
            return notVerified(
                request,
                isOfHost
                    ? "QEMU has lost it: it was plugged out, or broke"
                    : "VM \(request.device.source) does not give it, or gives another device than it told of")
        }
        let busName = bus.split(separator: "/").last.map(String.init) ?? ""
        if case .usb(let wanted, let place)? = places[request.id], busName != place || port != String(wanted) {
            return notVerified(request, "it is in port \(port) of \(busName), not in port \(wanted) of \(place)")
        }
        return nil
    }

    /// Says what to add for USB devices without a port.
    func noRoomUSB(for request: AttachRequest) -> HypervisorError {
        // The default controller has four ports; fifteen is the most that one takes (hw/usb/hcd-xhci.h).
        HypervisorError(
            .noRoom, "VM \(name) has no free place for \(request.device.name): no port of a USB controller is free",
            remedy: "Start its QEMU with: -device qemu-xhci,id=vmdev-usb,p2=15,p3=15")
    }
}
