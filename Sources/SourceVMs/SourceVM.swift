public import Devices
internal import ExportProtocol
public import HostDevices
public import Platform

/// The devices of a VM that runs `vmdev-export`.
public struct SourceVM: DeviceSource {
    /// Its name.
    public let name: VMName
    private let address: SourceAddress
    private let timeout: Duration
    private let isRunning: @Sendable () -> Bool?

    /// Asks the exporter at `address`, whose path is on this machine as it is; `timeout` bounds each question. `isRunning`
    /// tells whether the VM runs, or nil when that is not known: it is called when its exporter does not answer.
    public init(
        name: VMName, address: SourceAddress, timeout: Duration, isRunning: @escaping @Sendable () -> Bool?
    ) {
        self.name = name
        self.address = address
        self.timeout = timeout
        self.isRunning = isRunning
    }

    /// Block and USB devices, in the order of their ports; a VM exports no others.
    public func devices(of deviceClass: DeviceClass) throws(SourceError) -> [Device] {
        try list(deviceClass).map(device)
    }

    /// All of the class.
    public func candidates(for reference: DeviceReference) throws(SourceError) -> [Device] {
        try devices(of: reference.deviceClass)
    }

    /// Each class is asked for once.
    public func candidates(for references: [DeviceReference]) throws(SourceError) -> [[Device]] {
        var known: [DeviceClass: [Device]] = [:]
        for deviceClass in Set(references.map(\.deviceClass)) {
            known[deviceClass] = try devices(of: deviceClass)
        }
        return references.map { known[$0.deviceClass] ?? [] }
    }

    /// Has the device exported to the VM. It is exported as long as the descriptor in the answer is open anywhere.
    public func access(
        to device: Device, for vm: VMName, readOnly: Bool, options: DeviceOptions
    ) throws(SourceError) -> DeviceAccess {
        try access(to: device, for: vm, readOnly: readOnly, options: options, as: device.port)
    }

    /// The same, where a VM looks that got it when it was in the port `place`.
    public func access(
        to device: Device, for vm: VMName, readOnly: Bool, options: DeviceOptions, as place: Port
    ) throws(SourceError) -> DeviceAccess {
        guard let listed = try list(device.deviceClass).first(where: { $0.port == device.port }) else {
            throw SourceError(.gone, "\(device.name) has gone", remedy: "Plug it in again.")
        }
        guard self.device(listed).sequence == device.sequence else {
            throw SourceError(
                .changed, "\(device.name) was plugged in anew while it was being claimed", remedy: "Try again.")
        }
        let wish = ExportRequest.Wish(
            deviceClass: device.deviceClass, port: device.port, instance: listed.instance, target: vm,
            readOnly: readOnly, servedAs: place == device.port ? nil : place)
        let (reply, socket) = try ask(.export(wish), of: device.deviceClass)
        switch reply {
        case .usb where device.deviceClass == .usb: return .usbStream(socket.descriptor)
        case .disk(let channel, let export) where device.deviceClass == .block:
            guard channel == SourceAddress.channel(for: place, of: .block),
                let place = address.channel(channel)
            else { throw notUnderstood("\(device.name) is not on the channel on which it has to be") }
            return .networkDisk(at: place, export: export, lease: socket.descriptor)
        default: throw notUnderstood("it answers something else than was asked for")
        }
    }

    /// A device of a VM has no descriptor here: `access` is the way to it.
    public func claim(
        _ device: Device, for vm: VMName, readOnly: Bool, options: DeviceOptions
    ) throws(SourceError) -> Descriptor? {
        throw SourceError(.unfit, "\(device.name) can only be exported by VM \(name)")
    }

    /// An export ends with its connection: there is nothing to give back.
    public func giveBack(_ port: Port, of deviceClass: DeviceClass, from vm: VMName) throws(SourceError) {}

    /// As above.
    public func giveBackAll(from vm: VMName) throws(SourceError) -> [DeviceReference] { [] }

    /// It is asked again and again.
    public func listen(for references: [DeviceReference]) throws(SourceError) -> (any DeviceEvents)? {
        do { return try SourceClock() } catch {
            throw SourceError(.unreadable, "VM \(name) cannot be waited for: \(error)")
        }
    }

    /// Nothing more is known.
    public func absence(of port: Port, in deviceClass: DeviceClass) -> String? { nil }
}

// MARK: - Asking

extension SourceVM {
    private func list(_ deviceClass: DeviceClass) throws(SourceError) -> [ExportedDevice] {
        guard ExportRequest.classes.contains(deviceClass) else { return [] }
        guard case .devices(let devices) = try ask(.list(deviceClass), of: deviceClass).0 else {
            throw notUnderstood("it answers something else than a list of devices")
        }
        return devices.sorted { $0.port < $1.port }
    }

    /// The answer, and the connection on which it came.
    private func ask(
        _ request: ExportRequest, of deviceClass: DeviceClass
    ) throws(SourceError) -> (ExportReply, UnixSocket) {
        let deadline = Deadline(after: timeout)
        do {
            let connection = try SourceConnection(to: address, until: deadline)
            let reply = try connection.ask(request, of: deviceClass, until: deadline)
            if case .refusal(let refusal) = reply { throw SourceError(refusal, of: self) }
            return (reply, connection.socket)
        } catch let error as SourceError {
            throw error
        } catch let failure as SourceConnection.Failure {
            throw self.failure(failure)
        } catch {
            throw SourceError(.unreadable, "VM \(name): \(error)")
        }
    }

    private func failure(_ failure: SourceConnection.Failure) -> SourceError {
        switch failure {
        case .unreachable(let reason):
            guard isRunning() == true else {
                return SourceError(
                    .notRunning, "source VM \(name) is not running: nobody answers at \(address) (\(reason))",
                    remedy: "Start VM \(name); it has to come up before the VMs that get its devices.")
            }
            return silent("nobody answers at \(address) (\(reason))")
        case .silent(let reason): return silent("what is at \(address) is no use: \(reason)")
        case .notUnderstood(let reason): return notUnderstood(reason)
        }
    }

    private func silent(_ reason: String) -> SourceError {
        SourceError(
            .silent, "source VM \(name) runs, but its exporter does not answer: \(reason)",
            remedy:
                "In VM \(name), run: systemctl enable --now vmdev-export.socket; compare Address= in vmdev.conf.")
    }

    private func notUnderstood(_ reason: String) -> SourceError {
        SourceError(
            .notUnderstood, "source VM \(name) gives an answer that is not understood: \(reason)",
            remedy: "Have the same release of vmdevctl in VM \(name) as here; do not trust that VM if it has.")
    }

    /// As the model has it: all that stands for a thing is set apart from what others call theirs.
    private func device(_ exported: ExportedDevice) -> Device {
        let sequence = fingerprint(of: exported.instance)
        let details: Device.Details =
            if let disk = exported.disk {
                .block(
                    Device.Block(
                        node: "/dev/\(exported.port)", number: Device.Number(major: 0, minor: 0),
                        sequence: sequence,
                        size: disk.size, isReadOnly: disk.isReadOnly,
                        serial: disk.serial.isEmpty ? exported.port.description : disk.serial, parent: nil))
            } else {
                // What tells one plug from another is a USB device's minor number.
                .usb(
                    Device.USB(
                        node: "", address: 0,
                        number: Device.Number(major: 0, minor: UInt32(truncatingIfNeeded: sequence))))
            }
        let canonical = exported.canonical
        return Device(
            exported.deviceClass, source: name, port: exported.port, identities: exported.identities,
            title: exported.title,
            canonical: CanonicalDevice(
                key: key(canonical.key), alone: canonical.alone.map(key), beneath: canonical.beneath.map(key)),
            uses: exported.uses.map { .atSource($0) } + (exported.target.map { [.exported($0)] } ?? []),
            details: details)
    }

    /// No VM's name has a colon, so that nothing of one source is ever taken for something of another.
    private func key(_ text: String) -> String { "from:\(name):\(text)" }
}

extension SourceError {
    fileprivate init(_ refusal: ExportRefusal, of source: SourceVM) {
        let said = "VM \(source.name) says: \(refusal.message)"
        switch refusal.kind {
        case .gone: self.init(.gone, said, remedy: "Plug it in again.")
        case .changed: self.init(.changed, said, remedy: "Try again.")
        case .inUse:
            self.init(.inUse(.atSource(refusal.message)), said, remedy: "End that use in VM \(source.name).")
        case .exported:
            self.init(
                .exported, said,
                remedy: refusal.target.map { "Stop VM \($0), or detach the device from it." })
        case .readOnly: self.init(.readOnlyOnly, said, remedy: "Give it the option read-only=yes (--ro).")
        case .unfit, .failed: self.init(.unfit, said)
        case .forbidden: self.init(.unfit, said, remedy: "vmdev-export has to run as root in VM \(source.name).")
        case .request:
            self.init(.notUnderstood, said, remedy: "Have the same release of vmdevctl there as here.")
        }
    }
}
