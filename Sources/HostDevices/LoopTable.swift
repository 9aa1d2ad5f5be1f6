internal import Devices
internal import Platform

/// The loop devices of this host that have a file, and what lies behind them.
struct LoopTable {
    private var loops: [Loop] = []

    private struct Loop {
        let folder: BlockFolder
        let file: String
        /// The number of the block device behind it, if that is one.
        let below: Device.Number?
    }

    /// Reads it.
    init(root: Root) {
        for name in (try? names(in: root.path("/sys/block"))) ?? [] where name.hasPrefix("loop") {
            let folder = BlockFolder(path: root.path("/sys/block/\(name)"))
            guard let file = folder.backingFile else { continue }
            loops.append(Loop(folder: folder, file: file, below: blockNumber(of: file, root: root)))
        }
    }

    /// The names of the loop devices on top of a block device.
    func devices(over number: Device.Number) -> [String] {
        loops.filter { $0.below == number }.map(\.folder.sysname)
    }

    /// The other loop devices that show the same bytes of the same file. The kernel lets both be written, so nothing
    /// but this table tells that they are one.
    func twins(of folder: BlockFolder) -> [BlockFolder] {
        guard let file = folder.backingFile else { return [] }
        let others = loops.filter { $0.file == file && $0.folder.sysname != folder.sysname }
        guard !others.isEmpty else { return [] }
        let range = folder.fileRange
        return others.map(\.folder).filter { $0.fileRange.overlaps(range) }
    }
}

extension BlockFolder {
    /// Which bytes of its file a loop device shows; all of them when that cannot be read.
    fileprivate var fileRange: Range<UInt64> {
        let start = text("loop/offset").flatMap { UInt64($0) } ?? 0
        let limit = text("loop/sizelimit").flatMap { UInt64($0) } ?? 0
        let (end, overflow) = start.addingReportingOverflow(limit)
        return start..<(limit == 0 || overflow ? .max : end)
    }
}
