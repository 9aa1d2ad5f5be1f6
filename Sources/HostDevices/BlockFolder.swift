internal import CLinux
internal import Devices
internal import Platform

/// The folder of one block device below /sys, read as the kernel shows it; what is asked for often is read once.
final class BlockFolder {
    /// Where it is, root included and links resolved, so that a partition's lies in its disk's.
    let path: String

    /// A folder as it is from now on.
    init(path: String) { self.path = path }

    /// The kernel's name for the device; `!` stands for a `/` of the node's name.
    var sysname: String { String(path[(path.lastIndex(of: "/").map(path.index(after:)) ?? path.startIndex)...]) }
    /// The device's name as a port; nil for a name that is none.
    var port: Port? { try? Port(String(sysname.map { $0 == "!" ? "_" : $0 }), of: .block) }
    /// The node, "/dev/…".
    var node: String { "/dev/" + String(sysname.map { $0 == "!" ? "/" : $0 }) }

    /// The device's number.
    private(set) lazy var number: Device.Number? = text("dev").flatMap { Device.Number(text: $0.utf8) }
    /// Bytes; the kernel counts in 512 of them, whatever the device's own sectors are.
    private(set) lazy var size: UInt64? = {
        guard let sectors = text("size").flatMap({ UInt64($0) }) else { return nil }
        let (bytes, overflow) = sectors.multipliedReportingOverflow(by: 512)
        return overflow ? nil : bytes
    }()
    /// Whether the kernel refuses writes; nil when it does not tell. Neither may be taken for it: a guest with a disk that it
    /// cannot write would run without what was assigned to it.
    private(set) lazy var isReadOnly: Bool? = ["0": false, "1": true][text("ro") ?? ""]
    /// The number of the partition; nil for a whole disk.
    private(set) lazy var partition: Int? = text("partition").flatMap { Int($0) }
    /// The path behind a loop device, as the kernel tells it; nil for others, and for a loop device without one.
    private(set) lazy var backingFile: String? = text("loop/backing_file")
    /// The folder of the disk that a partition is on; nil for a whole disk.
    private(set) lazy var parent: BlockFolder? = {
        guard partition != nil, let slash = path.lastIndex(of: "/") else { return nil }
        return BlockFolder(path: String(path[..<slash]))
    }()
    /// The disk that a partition is on, itself for a disk.
    var disk: BlockFolder { parent ?? self }

    /// The partitions on a disk.
    var partitions: [BlockFolder] {
        let name = sysname
        return list("").filter { $0.hasPrefix(name) }
            .map { BlockFolder(path: "\(path)/\($0)") }
            .filter { $0.partition != nil }
    }

    /// An attribute, a page at most, without the line break at its end; nil when it is not there, cannot be read, or
    /// is empty.
    func text(_ attribute: String) -> String? {
        // The kernel gives a whole attribute in one read.
        guard var bytes = try? Descriptor.open("\(path)/\(attribute)").read(upTo: 4096) else { return nil }
        if bytes.last == UInt8(ascii: "\n") { bytes.removeLast() }
        return bytes.isEmpty ? nil : String(decoding: bytes, as: UTF8.self)
    }

    /// The names in a folder of it; none when it is not there.
    func list(_ folder: String) -> [String] { (try? names(in: "\(path)/\(folder)")) ?? [] }
}

/// The number of the block device that a path under /dev means; nil when it means none.
///
/// Only /dev is looked at: a path anywhere else may lie on a file system that does not answer.
func blockNumber(of path: String, root: Root) -> Device.Number? {
    guard path.hasPrefix("/dev/"), let node = try? Descriptor.open(root.path(path), [.path]) else { return nil }
    var major: UInt32 = 0
    var minor: UInt32 = 0
    var isBlock: Int32 = 0
    guard unsafe vmdev_node_number(node.raw, &major, &minor, &isBlock) == 0, isBlock != 0 else { return nil }
    return Device.Number(major: major, minor: minor)
}
