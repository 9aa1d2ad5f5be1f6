internal import Devices
internal import Platform

/// What block devices are parts of, made from, and hang on.
struct BlockStack {
    /// Where /sys and /dev are.
    let root: Root
    /// The host's loop devices.
    let loops: LoopTable

    /// The deepest stack that is followed (dm on md on dm … on a partition); real ones have four or five layers.
    private static let maximumDepth = 16

    /// What lies beneath a device.
    private struct Ground {
        var numbers: Set<Device.Number>
        /// The keys of the USB and PCI devices.
        var hardware: Set<String> = []
    }

    /// What the device is, for exclusion.
    func canonical(_ folder: BlockFolder, _ number: Device.Number) -> CanonicalDevice {
        var ground = Ground(numbers: [number])
        collect(beneath: folder, depth: 0, into: &ground)
        return CanonicalDevice(
            key: key(number), beneath: ground.numbers.subtracting([number]).map(key) + ground.hardware)
    }

    private func key(_ number: Device.Number) -> String { "block-\(number)" }

    private func collect(beneath folder: BlockFolder, depth: Int, into ground: inout Ground) {
        guard depth < BlockStack.maximumDepth else { return }
        if folder.partition != nil {
            add(folder.disk.number, depth: depth, into: &ground)
        } else {
            for path in folder.hardwarePaths { ground.hardware.formUnion(PhysicalParents(path: path).keys) }
        }
        for slave in folder.list("slaves") {
            add(BlockFolder(path: "\(folder.path)/slaves/\(slave)").number, depth: depth, into: &ground)
        }
        guard let file = folder.backingFile else { return }
        add(blockNumber(of: file, root: root), depth: depth, into: &ground)
        // Their own twins are not followed: two halves of a file have the whole for a twin, and not each other.
        ground.numbers.formUnion(loops.twins(of: folder).compactMap(\.number))
    }

    private func add(_ number: Device.Number?, depth: Int, into ground: inout Ground) {
        guard let number, ground.numbers.insert(number).inserted else { return }
        guard let folder = BlockFolder(number: number, root: root) else { return }
        collect(beneath: folder, depth: depth + 1, into: &ground)
    }
}

extension BlockFolder {
    /// Finds the folder of a block device by its number, links resolved.
    convenience init?(number: Device.Number, root: Root) {
        guard let path = try? resolved(root.path("/sys/dev/block/\(number)")) else { return nil }
        self.init(path: path)
    }

    /// Where the hardware of a disk is in the kernel's tree: at the disk itself, and for an NVMe namespace that is
    /// reached over several controllers, which is a virtual disk, at each of these.
    var hardwarePaths: [String] {
        guard path.contains("/devices/virtual/nvme-subsystem/"), let slash = path.lastIndex(of: "/") else {
            return [path]
        }
        let subsystem = path[..<slash]
        return ((try? names(in: String(subsystem))) ?? []).compactMap { name in
            // `nvme0` is a controller and a link, `nvme0n1` a namespace.
            name.hasPrefix("nvme") && !name.dropFirst(4).contains("n") ? try? resolved("\(subsystem)/\(name)") : nil
        }
    }
}
