internal import Devices
internal import Platform

/// What this host does with its block devices, read at one moment.
struct HostUsage {
    private var mounts: [Device.Number: [String]] = [:]
    private var swaps: Set<Device.Number> = []
    /// Its loop devices.
    let loops: LoopTable

    /// So many mounts of one device are told; a container host may have hundreds.
    private static let maximumMounts = 8

    /// Reads the host's tables: those of the process's own mount namespace.
    init(root: Root) throws(SourceError) {
        do {
            self.init(
                mounts: MountTable(mountinfo: try contents(of: "/proc/self/mountinfo", limit: 1 << 26)),
                swaps: swapPaths(in: try contents(of: "/proc/swaps")), root: root)
        } catch {
            throw SourceError(error)
        }
    }

    /// Takes tables that were read.
    init(mounts table: MountTable, swaps paths: [String], root: Root) {
        loops = LoopTable(root: root)
        var numbers: [String: Device.Number?] = [:]
        for mount in table.mounts {
            // btrfs shows an anonymous number; its source is one of its devices.
            guard mount.number.major == 0 else {
                note(mount.place, on: mount.number)
                continue
            }
            let number = numbers[mount.source] ?? blockNumber(of: mount.source, root: root)
            numbers[mount.source] = .some(number)
            if let number { note(mount.place, on: number) }
        }
        spreadOverBtrfs(root)
        swaps = Set(paths.compactMap { blockNumber(of: $0, root: root) })
    }

    /// The uses of a device, of the parts of it if it is a disk, of the whole disk if it is a
    /// partition, and of what else shows the same bytes.
    func uses(of folder: BlockFolder) -> [Device.Use] {
        var uses = directUses(of: folder)
        if folder.partition == nil {
            for part in folder.partitions {
                guard let port = part.port else { continue }
                uses += directUses(of: part).map { .part(port, $0) }
            }
        } else if let port = folder.disk.port {
            uses += directUses(of: folder.disk).map { .part(port, $0) }
        }
        for twin in loops.twins(of: folder.disk) {
            guard let port = twin.port else { continue }
            uses += directUses(of: twin).map { .part(port, $0) }
        }
        return uses
    }

    private func directUses(of folder: BlockFolder) -> [Device.Use] {
        var uses: [Device.Use] = []
        if let number = folder.number {
            uses += mounts[number, default: []].map { .mounted($0) }
            if swaps.contains(number) { uses.append(.swap) }
            uses += loops.devices(over: number).map { .holder($0) }
        }
        return uses + folder.list("holders").map { .holder(folder.text("holders/\($0)/dm/name") ?? $0) }
    }

    private mutating func note(_ place: String, on number: Device.Number) {
        guard mounts[number, default: []].count < HostUsage.maximumMounts, mounts[number]?.contains(place) != true
        else { return }
        mounts[number, default: []].append(place)
    }

    /// A mounted btrfs uses all of its devices and names one.
    private mutating func spreadOverBtrfs(_ root: Root) {
        let folder = root.path("/sys/fs/btrfs")
        for name in (try? names(in: folder)) ?? [] {
            let members = "\(folder)/\(name)/devices"
            let numbers = ((try? names(in: members)) ?? [])
                .compactMap { BlockFolder(path: "\(members)/\($0)").number }
            let places = numbers.flatMap { mounts[$0, default: []] }
            for number in numbers {
                for place in places { note(place, on: number) }
            }
        }
    }
}
