internal import Devices
internal import Platform

/// What of this host hangs on its USB and PCI devices, and what the host does with it, read at one moment.
struct HostDependents {
    /// The disks that are pieces of hardware, with their folders below /sys/devices, links resolved.
    let disks: [BlockFolder]
    /// The network interfaces over which the host reaches its default gateways, with their folders.
    private let gateways: [(name: String, path: String)]
    private let usage: HostUsage

    /// Reads what the host does.
    init(root: Root) throws(SourceError) {
        self.init(root: root, usage: try HostUsage(root: root), network: HostNetwork(root: root))
    }

    /// Takes what was read.
    init(root: Root, usage: HostUsage, network: HostNetwork) {
        self.usage = usage
        let folder = root.path("/sys/block")
        disks = ((try? names(in: folder)) ?? []).compactMap { try? resolved("\(folder)/\($0)") }
            .filter { !$0.contains("/devices/virtual/block/") }.map { BlockFolder(path: $0) }
        gateways = network.gatewayInterfaces.sorted().compactMap { name in
            (try? resolved(root.path("/sys/class/net/\(name)"))).map { (name, $0) }
        }
    }

    /// The disks that hang on the device with that folder, links resolved.
    func disks(below path: String) -> [BlockFolder] {
        disks.filter { disk in disk.hardwarePaths.contains { $0.hasPrefix(path + "/") } }
    }

    /// What the host does with what hangs on the device with that folder.
    func uses(below path: String) -> [Device.Use] {
        let uses = disks(below: path).flatMap { disk in
            usage.uses(of: disk).map { use -> Device.Use in
                if case .part = use { return use }
                return disk.port.map { .part($0, use) } ?? use
            }
        }
        return uses
            + gateways.filter { $0.path.hasPrefix(path + "/") }
            .map { .essential("the way to the default gateway (\($0.name))") }
    }
}
