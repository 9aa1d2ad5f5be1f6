import Devices
import Platform
import Testing

@testable import HostDevices

/// This kernel may have neither dm nor md: their folders are rebuilt here as the kernel lays them out.
@Suite("Devices made from others")
struct StackTests {
    let folder: TemporaryFolder
    var root: Root { Root(folder.path) }

    init() throws { folder = try TemporaryFolder() }

    /// A device with what it is made from; a partition lies in its disk's folder.
    private func add(_ name: String, _ number: String, in disk: String? = nil, from slaves: [String] = []) throws {
        let path = "sys/devices/\(disk.map { "\($0)/" } ?? "")\(name)"
        try folder.write("\(path)/dev", "\(number)\n")
        if disk != nil { try folder.write("\(path)/partition", "1\n") }
        try folder.link("sys/dev/block/\(number)", to: "\(folder.path)/\(path)")
        for slave in slaves {
            let slavePath = "\(folder.path)/sys/devices/\(slave)"
            try folder.link("\(path)/slaves/\(slave.split(separator: "/").last ?? "")", to: slavePath)
            try folder.link(
                "sys/devices/\(slave)/holders/\(name)", to: "\(folder.path)/\(path)")
        }
    }

    private func canonical(_ number: String) throws -> CanonicalDevice {
        let number = try #require(Device.Number(text: number.utf8))
        let device = try #require(BlockFolder(number: number, root: root))
        return BlockStack(root: root, loops: LoopTable(root: root)).canonical(device, number)
    }

    @Test("A volume excludes the partition that it is on, that one's disk, and all in between")
    func volume() throws {
        try add("sda", "8:0")
        try add("sda1", "8:1", in: "sda")
        try add("sdb", "8:16")
        try add("md0", "9:0", from: ["sda/sda1", "sdb"])
        try add("dm-0", "253:0", from: ["md0"])
        #expect(
            try canonical("253:0")
                == CanonicalDevice(
                    key: "block-253:0", beneath: ["block-9:0", "block-8:1", "block-8:0", "block-8:16"]))
        #expect(try canonical("8:1") == CanonicalDevice(key: "block-8:1", beneath: ["block-8:0"]))
        #expect(try canonical("8:0") == CanonicalDevice(key: "block-8:0"))
        for part in ["8:0", "8:1", "8:16", "9:0"] {
            #expect(try canonical("253:0").conflicts(with: canonical(part)))
        }
    }

    @Test("Folders that lead in a circle end")
    func circle() throws {
        try add("dm-0", "253:0", from: ["dm-1"])
        try add("dm-1", "253:1", from: ["dm-0"])
        #expect(try canonical("253:0") == CanonicalDevice(key: "block-253:0", beneath: ["block-253:1"]))
    }

    @Test("A stack deeper than any real one is followed to a limit, not to the end of our own stack")
    func deep() throws {
        for layer in 0..<40 { try add("dm-\(layer)", "253:\(layer)", from: ["dm-\(layer + 1)"]) }
        try add("dm-40", "253:40")
        #expect(try canonical("253:0").beneath.count == 16)
    }

    @Test("A member of a volume is in use by it, under the name that its owner gave it")
    func holders() throws {
        try add("sda", "8:0")
        try add("sda1", "8:1", in: "sda")
        try add("dm-0", "253:0", from: ["sda/sda1"])
        try folder.write("sys/devices/dm-0/dm/name", "vg-root\n")
        try add("sdb", "8:16")
        try add("md0", "9:0", from: ["sdb"])
        let usage = HostUsage(mounts: MountTable(mountinfo: []), swaps: [], root: root)
        func uses(_ path: String) -> [Device.Use] {
            usage.uses(of: BlockFolder(path: "\(folder.path)/sys/devices/\(path)"))
        }
        #expect(uses("sda/sda1") == [.holder("vg-root")])
        #expect(try uses("sda") == [.part(Port("sda1", of: .block), .holder("vg-root"))])
        #expect(uses("sdb") == [.holder("md0")])
        #expect(uses("dm-0") == [])
    }

    @Test("Every device of a mounted btrfs is in use, though the mount names one of them by its source only")
    func btrfs() throws {
        let loop = try LoopDevice()
        let number = try #require(blockNumber(of: loop.node, root: .host))
        try folder.link("dev", to: "/dev")
        try add("first", number.description)
        try add("second", "8:16")
        try add("other", "8:32")
        for name in ["first", "second"] {
            try folder.link("sys/fs/btrfs/0c-1/devices/\(name)", to: "\(folder.path)/sys/devices/\(name)")
        }
        let table = MountTable(mountinfo: Array("40 22 0:46 /@ /srv rw - btrfs \(loop.node) rw\n".utf8))
        let usage = HostUsage(mounts: table, swaps: [], root: root)
        func uses(_ name: String) -> [Device.Use] {
            usage.uses(of: BlockFolder(path: "\(folder.path)/sys/devices/\(name)"))
        }
        #expect(uses("first") == [.mounted("/srv")])
        #expect(uses("second") == [.mounted("/srv")])
        #expect(uses("other") == [])
    }

    @Test("A device that hundreds of mounts use tells a few of them")
    func manyMounts() throws {
        try add("sda", "8:0")
        let lines = (0..<500).map { "36 35 8:0 / /m\($0) rw - ext4 /dev/sda rw\n" }.joined()
        let usage = HostUsage(mounts: MountTable(mountinfo: Array(lines.utf8)), swaps: [], root: root)
        let uses = usage.uses(of: BlockFolder(path: "\(folder.path)/sys/devices/sda"))
        #expect(uses.first == .mounted("/m0"))
        #expect(uses.count == 8)
    }
}
