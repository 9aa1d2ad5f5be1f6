internal import Devices
public import Platform

extension QEMUVM {
    /// Plugs in a disk that another VM exports over NBD.
    ///
    /// QEMU holds the lease as it holds the claim on a disk of this host: the export ends with it, however QEMU ends. A lost
    /// connection comes back by itself, and until then the guest's requests wait; when they have waited for too long, or the
    /// other VM says that one failed, the guest is stopped, so that it never takes for written what is not.
    func attach(_ disk: NetworkDisk, _ request: AttachRequest, at place: QEMUPlace) throws(HypervisorError) {
        guard let block = request.device.block else {
            throw HypervisorError(.unsupported, "VM \(name): \(request.device.name) is no disk")
        }
        // Until then QEMU does nothing else, and tries again also what was denied to it. (The server listens already.)
        let storage = QMP.Storage(
            driver: "nbd", isReadOnly: request.readOnly, server: QMP.SocketAddress(disk.address),
            export: disk.export,
            reconnectDelay: 3600, openTimeout: UInt32(clamping: min(max(1, timeout.components.seconds / 2), 60)))
        var device = QMP.Device(request, serial: block.serial, at: place)
        (device.werror, device.rerror) = ("stop", "stop")
        var undo: [QMPCommand<QMP.Nothing>] = []
        do {
            try connection.call(.hold(disk.lease, as: request.id.claimName))
            undo.append(.letGo(request.id.claimName))
            let (node, plug) = try connection.results(
                of: .add(
                    QMP.Node(name: request.id.description, isReadOnly: request.readOnly, file: storage)),
                .plug(device))
            if node.value != nil { undo.append(.removeNode(request.id.description)) }
            _ = try node.get()
            _ = try plug.get()
        } catch {
            throw undone(undo, after: fault(attaching: request, error), error)
        }
    }

    /// The claim of a disk of this host has the same name.
    public func keep(_ lease: Descriptor, of id: AttachmentID) throws(HypervisorError) {
        try hold(lease, as: id.claimName)
    }

    /// Plugs in a USB device that another VM exports over usbredir on that connection.
    func attachUSB(_ stream: Descriptor, _ request: AttachRequest) throws(HypervisorError) {
        guard case .usb(let port, let bus)? = places[request.id] else {
            throw HypervisorError(
                .unsupported, "VM \(name): \(request.device.name) cannot be attached as a USB device on QEMU")
        }
        let id = request.id.description
        var undo: [QMPCommand<QMP.Nothing>] = []
        do {
            try connection.call(.hold(stream, as: request.id.claimName))
            undo.append(.letGo(request.id.claimName))
            try connection.call(.add(QMP.Chardev(id: id, descriptor: request.id.claimName)))
            undo = [.removeChardev(id)]
            try connection.call(
                .plug(
                    QMP.Device(
                        driver: "usb-redir", bus: bus, port: String(port), id: id, chardev: id,
                        filter: QEMUVM.filter(for: request.device))))
        } catch {
            throw undone(undo, after: fault(attaching: request, error), error)
        }
    }
}

extension QMP.SocketAddress {
    init(_ address: SourceAddress) {
        switch address {
        case .vsock(let cid, let port): self.init(type: "vsock", port: String(port), cid: String(cid))
        case .tcp(let host, let port): self.init(type: "inet", host: host, port: String(port))
        case .unix(let path): self.init(type: "unix", path: path)
        }
    }
}
