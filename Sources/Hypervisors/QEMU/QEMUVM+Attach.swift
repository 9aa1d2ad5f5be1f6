internal import Devices
internal import Glibc
internal import Platform

extension QEMUVM {
    /// Hands the open device over and plugs it in at its place.
    ///
    /// For a disk QEMU gets two descriptors. The claimed one it only holds (getfd), so that the host cannot mount the disk: it is
    /// closed at once when we say so, while QEMU 7.2 closes the members of an fdset only when the VM runs. The other,
    /// opened anew in just the mode that QEMU asks for, goes into an fdset, and is what QEMU reads and writes.
    public func attach(_ request: AttachRequest) throws(HypervisorError) {
        if places[request.id] == nil, let obstacle = try place([request]).first ?? nil { throw obstacle }
        if let mic = request.device.mic { return try attach(mic, request) }
        if let function = request.device.pci { return try attach(function, request) }
        if request.device.deviceClass == .usb { return try attachUSB(request) }
        if case .networkDisk(let disk) = request.backing, let place = places[request.id] {
            return try attach(disk, request, at: place)
        }
        guard let block = request.device.block, case .open(let claim) = request.backing,
            let place = places[request.id]
        else {
            throw HypervisorError(
                .unsupported, "VM \(name): \(request.device.name) cannot be attached as a disk on QEMU")
        }
        let data: Descriptor
        do {
            // While the claim is open its number cannot become another disk's.
            data = try claim.reopened(request.readOnly ? [] : .readWrite)
        } catch {
            throw HypervisorError(
                error.isPermission || error.code == EROFS ? .forbidden : .refused,
                "VM \(name): \(request.device.name) cannot be opened \(request.readOnly ? "for reading" : "for writing")"
                    + " (\(error.reason))")
        }
        let driver = try driver(for: claim, of: request.device)
        var undo: [QMPCommand<QMP.Nothing>] = []
        do {
            try connection.call(.hold(claim, as: request.id.claimName))
            undo.append(.letGo(request.id.claimName))
            let set = try connection.call(.makeSet(of: data, note: request.id.description))
            undo.append(.removeSet(set.number))
            let (node, device) = try connection.results(
                of: .add(QMP.Node(request, driver: driver, set: set)),
                .plug(QMP.Device(request, serial: block.serial, at: place)))
            if node.value != nil { undo.append(.removeNode(request.id.description)) }
            _ = try node.get()
            _ = try device.get()
        } catch {
            throw undone(undo, after: fault(attaching: request, error, claim: claim), error)
        }
    }

    /// Undoes what was done, last first, and gives the cause; with a broken or silent connection there is no undoing.
    func undone(_ undo: [QMPCommand<QMP.Nothing>], after cause: HypervisorError, _ error: QMPError)
        -> HypervisorError
    {
        guard case .server = error, !undo.isEmpty else { return cause }
        let failures: [QMPError]
        do {
            failures = try connection.results(of: undo.reversed()).compactMap { result in
                if case .failure(let error) = result { error } else { nil }
            }
        } catch {
            failures = [error]
        }
        guard let failure = failures.first else { return cause }
        return HypervisorError(
            cause.kind, "\(cause.message); what was done before could not be undone either: \(failure)",
            remedy: cause.remedy)
    }

    /// QEMU has one driver for block devices and one for plain files.
    private func driver(for claim: Descriptor, of device: Device) throws(HypervisorError) -> String {
        switch fileKind(of: claim) {
        case .block: "host_device"
        case .regular: "file"
        case .other:
            throw HypervisorError(
                .unsupported, "VM \(name): \(device.name) is neither a block device nor a plain file")
        }
    }
}

extension AttachmentID {
    /// Under which name the VM's process holds the claim on a disk, or what keeps a disk of another VM exported.
    public var claimName: String { "\(description).claim" }
}

extension QMP.Node {
    fileprivate init(_ request: AttachRequest, driver: String, set: QMP.FDSetNumber) {
        self.init(
            name: request.id.description, isReadOnly: request.readOnly,
            file: QMP.Storage(
                driver: driver, filename: "/dev/fdset/\(set.number)", isReadOnly: request.readOnly))
    }
}

extension QMP.Device {
    init(_ request: AttachRequest, serial: String, at place: QEMUPlace) {
        self = place.device(isCDROM: request.options.isCDROM)
        id = request.id.description
        drive = request.id.description
        self.serial = serial
    }
}

private enum FileKind {
    case block, regular, other
}

private func fileKind(of descriptor: Descriptor) -> FileKind {
    var status = stat()
    guard unsafe fstat(descriptor.raw, &status) == 0 else { return .other }
    return switch status.st_mode & S_IFMT {
    case S_IFBLK: .block
    case S_IFREG: .regular
    default: .other
    }
}
