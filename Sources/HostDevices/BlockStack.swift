internal import Devices
internal import Platform

/// What block devices are parts of and made from.
struct BlockStack {
    /// Where /sys and /dev are.
    let root: Root
    /// The host's loop devices.
    let loops: LoopTable

    /// The deepest stack that is followed (dm on md on dm … on a partition); real ones have four or five layers.
    private static let maximumDepth = 16

    /// What the device is, for exclusion.
    func canonical(_ folder: BlockFolder, _ number: Device.Number) -> CanonicalDevice {
        var found: Set<Device.Number> = [number]
        collect(beneath: folder, depth: 0, into: &found)
        return CanonicalDevice(key: key(number), beneath: found.subtracting([number]).map(key))
    }

    private func key(_ number: Device.Number) -> String { "block-\(number)" }

    private func collect(beneath folder: BlockFolder, depth: Int, into found: inout Set<Device.Number>) {
        guard depth < BlockStack.maximumDepth else { return }
        if folder.partition != nil { add(folder.disk.number, depth: depth, into: &found) }
        for slave in folder.list("slaves") {
            add(BlockFolder(path: "\(folder.path)/slaves/\(slave)").number, depth: depth, into: &found)
        }
        guard let file = folder.backingFile else { return }
        add(blockNumber(of: file, root: root), depth: depth, into: &found)
        // Their own twins are not followed: two halves of a file have the whole for a twin, and not each other.
        found.formUnion(loops.twins(of: folder).compactMap(\.number))
    }

    private func add(_ number: Device.Number?, depth: Int, into found: inout Set<Device.Number>) {
        guard let number, found.insert(number).inserted else { return }
        guard let folder = BlockFolder(number: number, root: root) else { return }
        collect(beneath: folder, depth: depth + 1, into: &found)
    }
}

extension BlockFolder {
    /// Finds the folder of a block device by its number, links resolved.
    convenience init?(number: Device.Number, root: Root) {
        guard let path = try? resolved(root.path("/sys/dev/block/\(number)")) else { return nil }
        self.init(path: path)
    }
}
