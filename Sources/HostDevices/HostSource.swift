public import Devices
public import Platform
internal import Systemd

/// The devices of this host. Block devices for now; the other classes have none.
public struct HostSource: DeviceSource {
    /// Where /run and /dev are; /sys too, but for what libsystemd reads, which knows only the kernel's own.
    let root: Root

    /// The devices of the host at `root`.
    public init(root: Root) { self.root = root }

    /// `dom0`.
    public var name: VMName { .host }

    /// All devices of a class, in the order of their ports.
    public func devices(of deviceClass: DeviceClass) throws(SourceError) -> [Device] {
        guard deviceClass == .block else { return [] }
        let all: [SystemDevice]
        do throws(SystemCallError) {
            all = try DeviceEnumeration(subsystem: "block").devices
        } catch {
            throw SourceError(error)
        }
        let inventory = BlockInventory(root: root, usage: try HostUsage(root: root))
        let udevRuns = self.udevRuns
        return all.compactMap { device($0, inventory, udevRuns: udevRuns) }.sorted { $0.port < $1.port }
    }

    /// The device in the port, when there is one and nothing is said of another; else all.
    public func candidates(for reference: DeviceReference) throws(SourceError) -> [Device] {
        guard reference.deviceClass == .block, reference.source == name else { return [] }
        guard let port = reference.port else { return try devices(of: .block) }
        let found = try find(port)
        let inventory = BlockInventory(root: root, usage: try HostUsage(root: root))
        let inPort = found.flatMap { device($0, inventory, udevRuns: udevRuns) }
        guard let identity = reference.identity else { return inPort.map { [$0] } ?? [] }
        if let inPort, inPort.identities.contains(identity) { return [inPort] }
        return try devices(of: .block)
    }

    /// What is known of a port in which there is no device.
    public func absence(of port: Port, in deviceClass: DeviceClass) -> String? {
        guard deviceClass == .block, let device = (try? find(port)) ?? nil, let folder = folder(of: device)
        else { return nil }
        if let unfit = folder.unfit { return unfit }
        return udevRuns && !device.isInitialized ? "udev has not finished with \(folder.node) yet" : nil
    }

    /// Where udev does not run, its database is empty or left over from another time.
    private var udevRuns: Bool { (try? Descriptor.open(root.path("/run/udev/control"), [.path])) != nil }

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

    /// While udev works on a device it is not there yet: it has no identities by which to know it.
    private func device(_ device: SystemDevice, _ inventory: BlockInventory, udevRuns: Bool) -> Device? {
        guard let folder = folder(of: device), !udevRuns || device.isInitialized else { return nil }
        return inventory.device(folder, udev: udevRuns ? UdevRecord(device) : UdevRecord())
    }

    private func folder(of device: SystemDevice) -> BlockFolder? {
        device.syspath.map { BlockFolder(path: root.path($0)) }
    }
}
