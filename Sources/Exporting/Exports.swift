internal import Applying
internal import Devices
internal import ExportProtocol
internal import HostDevices
internal import Hypervisors
internal import Platform

/// What a source VM exposes, and the locks that say who has it.
struct Exports {
    let root: Root
    let source: any DeviceSource
    let locks: LockFolder
    /// This boot of the machine, so that no instance is ever that of another.
    private let boot: String

    init(root: Root, source: any DeviceSource) throws(SystemCallError) {
        self.root = root
        self.source = source
        locks = LockFolder(root: root)
        let bytes = try contents(of: "/proc/sys/kernel/random/boot_id", limit: 64)
        boot = String(decoding: bytes.filter { VMName.mayContain($0) }, as: UTF8.self)
    }

    /// All devices of a class, with the VMs that have them.
    func list(_ deviceClass: DeviceClass) throws(ExportRefusal) -> [ExportedDevice] {
        let live = try records()
        let devices: [Device]
        do { devices = try source.devices(of: deviceClass) } catch { throw ExportRefusal(error) }
        return devices.prefix(ExportLimits.devices).map { device in
            ExportedDevice(
                device, instance: instance(of: device),
                target: live.first { $0.canonical.conflicts(with: device.canonical) }?.vm)
        }
    }

    /// What is exported now.
    func live() throws(ExportRefusal) -> [ExportReply.LiveExport] {
        try records().prefix(ExportLimits.devices).compactMap { record in
            record.device.port.map {
                ExportReply.LiveExport(deviceClass: record.device.deviceClass, port: $0, target: record.vm)
            }
        }
    }

    /// The device of a wish, free, locked and claimed for its VM as long as the answer lives.
    func take(_ wish: ExportRequest.Wish) throws(ExportRefusal) -> Taken {
        let device = try find(wish)
        if let use = device.uses.first {
            throw ExportRefusal(.inUse, "\(device.port) is in use by the source VM itself: \(use)")
        }
        let record = LockRecord(
            vm: wish.target, device: device.reference, id: AttachmentID(port: device.port), options: .none,
            canonical: device.canonical, sequence: device.sequence)
        let held: [HeldLock]
        do { held = try locks.take(record) } catch {
            guard case .taken(let holders) = error else { throw ExportRefusal(error) }
            let holder = holders.first?.vm
            throw ExportRefusal(
                .exported, "\(device.port) is exported already to \(holder.map { "VM \($0)" } ?? "another VM")",
                target: holder)
        }
        do {
            guard
                let claim = try source.claim(
                    device, for: wish.target, readOnly: wish.readOnly, options: .none)
            else { throw ExportRefusal(.unfit, "\(device.port) cannot be exported") }
            return Taken(
                device: device, place: wish.servedAs ?? device.port, isReadOnly: wish.readOnly, claim: claim,
                locks: held)
        } catch let error as SourceError {
            throw ExportRefusal(error)
        } catch let error as ExportRefusal {
            throw error
        } catch {
            throw ExportRefusal(.failed, "\(error)")
        }
    }

    /// A device that is ours to export.
    struct Taken: ~Copyable {
        let device: Device
        /// The port whose channel and name a disk is served under.
        let place: Port
        let isReadOnly: Bool
        let claim: Descriptor
        let locks: [HeldLock]

        /// Gives the claim up, and keeps the locks, for as long as the answer lives.
        consuming func locksAlone() -> [HeldLock] { locks }
    }

    private func find(_ wish: ExportRequest.Wish) throws(ExportRefusal) -> Device {
        let reference = DeviceReference(wish.deviceClass, source: source.name, port: wish.port)
        let found: [Device]
        do { found = try source.candidates(for: reference) } catch { throw ExportRefusal(error) }
        guard let device = found.first(where: { $0.isIn(wish.port) }) else {
            let why = source.absence(of: wish.port, in: wish.deviceClass).map { ": \($0)" } ?? ""
            throw ExportRefusal(.gone, "there is no \(wish.deviceClass) device in \(wish.port)\(why)")
        }
        guard instance(of: device) == wish.instance else {
            throw ExportRefusal(.changed, "what is in \(wish.port) now was plugged in after it was asked for")
        }
        return device
    }

    private func instance(of device: Device) -> String { "\(boot)/\(device.sequence ?? 0)" }

    private func records() throws(ExportRefusal) -> [LockRecord] {
        do { return try locks.live() } catch { throw ExportRefusal(error) }
    }
}

extension ExportRefusal {
    init(_ error: SourceError) {
        let kind: Kind =
            switch error.kind {
            case .gone, .noMedium: .gone
            case .changed: .changed
            case .inUse: .inUse
            case .readOnlyOnly: .readOnly
            case .unfit: .unfit
            case .forbidden: .forbidden
            default: .failed
            }
        self.init(kind, error.message)
    }

    init(_ failure: LockFolder.Failure) {
        switch failure {
        case .taken: self.init(.exported, "another VM has the device")
        case .system(let error): self.init(error.isPermission ? .forbidden : .failed, "\(error)")
        }
    }
}
