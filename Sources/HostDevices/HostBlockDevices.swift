internal import Devices
internal import Platform
internal import Systemd

/// The block devices of this host.
struct HostBlockDevices: HostClass {
    /// Where /run and /dev are; /sys too, but for what libsystemd reads, which knows only the kernel's own.
    let root: Root

    /// How long a claim waits for one who has the device for no reason that is known.
    let patience: Duration

    /// All of them, in the order of their ports.
    func devices() throws(SourceError) -> [Device] { try all(look()) }

    /// The tables of the host's uses are read once, and all devices are listed once at most.
    func candidates(for references: [DeviceReference]) throws(SourceError) -> [[Device]] {
        let look = try look()
        var listed: [Device]?
        var found: [[Device]] = []
        for reference in references {
            if let settled = try settled(reference, look) {
                found.append(settled)
                continue
            }
            if listed == nil { listed = try all(look) }
            found.append(listed ?? [])
        }
        return found
    }

    /// What is known of a port in which there is no device.
    func absence(of port: Port) -> String? {
        guard let device = (try? find(port)) ?? nil, let folder = folder(of: device)
        else { return nil }
        if let unfit = folder.unfit { return unfit }
        return udevRuns && !device.isInitialized ? "udev has not finished with \(folder.node) yet" : nil
    }

    /// By what the kernel has of that name now, whether udev knows it yet or not.
    func hasGone(_ sequence: UInt64, from port: Port) -> Bool {
        let name = port.description
        for sysname in Set([name, String(name.map { $0 == "_" ? "!" : $0 })]) {
            do {
                let disk = BlockFolder(path: try resolved(root.path("/sys/class/block/\(sysname)"))).disk
                return disk.text("diskseq").flatMap { UInt64($0) }.map { $0 != sequence } ?? false
            } catch {
                guard error.isMissing else { return false }
            }
        }
        return true
    }

    private var udevRuns: Bool { UdevDatabase(root: root) != nil }

    /// Finds the device of a port; `_` in a port may stand for the `!` of a kernel name.
    private func find(_ port: Port) throws(SourceError) -> SystemDevice? {
        let name = port.description
        do throws(SystemCallError) {
            if let device = try SystemDevice.named(name, in: "block") { return device }
            guard name.contains("_") else { return nil }
            return try SystemDevice.named(String(name.map { $0 == "_" ? "!" : $0 }), in: "block")
        } catch {
            throw SourceError(error)
        }
    }

    /// What the port alone says of a reference; nil when all devices have to be looked at.
    private func settled(_ reference: DeviceReference, _ look: Look) throws(SourceError) -> [Device]? {
        guard let port = reference.port else { return nil }
        let inPort = try find(port).flatMap { device($0, look) }
        guard let identity = reference.identity else { return inPort.map { [$0] } ?? [] }
        guard let inPort, inPort.identities.contains(identity) else { return nil }
        return [inPort]
    }

    private func all(_ look: Look) throws(SourceError) -> [Device] {
        do throws(SystemCallError) {
            return try DeviceEnumeration(subsystem: "block").devices
                .compactMap { device($0, look) }.sorted { $0.port < $1.port }
        } catch {
            throw SourceError(error)
        }
    }

    /// What is the same for all devices at one moment.
    private struct Look {
        let inventory: BlockInventory
        let udevRuns: Bool
    }

    private func look() throws(SourceError) -> Look {
        Look(inventory: BlockInventory(root: root, usage: try HostUsage(root: root)), udevRuns: udevRuns)
    }

    /// While udev works on a device it is not there yet: it has no identities by which to know it.
    private func device(_ device: SystemDevice, _ look: Look) -> Device? {
        guard let folder = folder(of: device), !look.udevRuns || device.isInitialized else { return nil }
        return look.inventory.device(folder, udev: look.udevRuns ? UdevRecord(device) : UdevRecord())
    }

    private func folder(of device: SystemDevice) -> BlockFolder? {
        device.syspath.map { BlockFolder(path: root.path($0)) }
    }
}
