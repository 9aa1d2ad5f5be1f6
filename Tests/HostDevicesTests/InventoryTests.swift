import Devices
import Foundation
import Platform
import Testing

@testable import HostDevices

@Suite("The block devices of this host")
struct InventoryTests {
    let source = HostSource(root: .host)

    @Test("A loop device is offered with its file's path as identity, its size and a serial for the guest")
    func loop() throws {
        let loop = try LoopDevice(named: "my disk.img", mebibytes: 3)
        let port = loop.port
        let device = try #require(try source.devices(of: .block).first { $0.port == port })
        let block = try #require(device.block)
        #expect(device.name == "dom0:\(port)")
        #expect(device.identities.map(\.description) == [loop.file])
        #expect(device.title == loop.file)
        #expect(device.uses == [])
        #expect(block.node == loop.node)
        #expect(device.canonical == CanonicalDevice(key: "block-\(block.number)"))
        #expect(blockNumber(of: loop.node, root: .host) == block.number)
        #expect(block.size == 3 << 20)
        #expect(!block.isReadOnly)
        #expect(block.serial == port.description)
        #expect(block.parent == nil)
        #expect(block.sequence != nil)
    }

    @Test("A device that can only be read says so")
    func readOnly() throws {
        let loop = try LoopDevice(readOnly: true)
        #expect(try source.device(in: loop.port)?.block?.isReadOnly == true)
    }

    @Test("A partition names its disk, and excludes it and nothing else")
    func partitions() throws {
        let loop = try LoopDevice(partitions: 2)
        let disk = try #require(try source.device(in: loop.port))
        let first = try #require(try source.device(in: loop.partition(1)))
        let second = try #require(try source.device(in: loop.partition(2)))
        #expect(first.block?.parent == disk.port)
        #expect(first.block?.size == 4 << 20)
        #expect(first.block?.sequence == disk.block?.sequence)
        #expect(first.identities.map(\.description) == ["\(loop.file)-part1"])
        #expect(first.canonical.beneath == [disk.canonical.key])
        #expect(first.canonical.conflicts(with: disk.canonical))
        #expect(!first.canonical.conflicts(with: second.canonical))
    }

    @Test("A mounted partition is in use, so is its disk, and its neighbour is not")
    func mountedPartition() throws {
        let loop = try LoopDevice(partitions: 2)
        try run("mkfs.ext4", "-q", "\(loop.node)p1")
        let mounted = try Mounted("\(loop.node)p1", at: "\(loop.folder.path)/a b")
        let (disk, first, second) = (loop.port, try loop.partition(1), try loop.partition(2))
        let use = Device.Use.mounted(mounted.place)
        #expect(try source.device(in: first)?.uses == [use])
        #expect(try source.device(in: disk)?.uses == [.part(first, use)])
        #expect(try source.device(in: second)?.uses == [])
    }

    @Test("A mounted disk makes its partitions in use")
    func mountedDisk() throws {
        let loop = try LoopDevice(partitions: 1)
        // The table of partitions stays: ext4 leaves the first 1024 bytes alone.
        try run("mkfs.ext4", "-q", "-F", "-E", "nodiscard", loop.node)
        let mounted = try Mounted(loop.node, at: "\(loop.folder.path)/m")
        let part = try #require(try? loop.partition(1))
        if let device = try source.device(in: part) {
            #expect(try device.uses == [.part(loop.port, .mounted(mounted.place))])
        }
        #expect(try source.device(in: loop.port)?.uses.contains(.mounted(mounted.place)) == true)
    }

    @Test("Swap space is in use")
    func swap() throws {
        let loop = try LoopDevice()
        try run("mkswap", loop.node)
        try run("swapon", loop.node)
        defer { _ = try? run("swapoff", loop.node) }
        #expect(try source.device(in: loop.port)?.uses == [.swap])
    }

    @Test("A device behind a loop device is in use by it, and the loop device excludes it")
    func loopOverDevice() throws {
        let lower = try LoopDevice()
        let upper = try LoopDevice(over: lower.node)
        let below = try #require(try source.device(in: lower.port))
        let above = try #require(try source.device(in: upper.port))
        #expect(below.uses == [.holder(upper.port.description)])
        #expect(above.canonical.beneath == [below.canonical.key])
    }

    @Test("Two loop devices of one file are one thing: a mount of either keeps both, and no two VMs can have them")
    func twins() throws {
        let one = try LoopDevice()
        try run("mkfs.ext4", "-q", one.node)
        let two = try LoopDevice(over: one.file)
        let disjoint = try [["-o", "0", "--sizelimit", "1048576"], ["-o", "1048576"]].map { range in
            try LoopDevice(over: one.file, range)
        }
        let mounted = try Mounted(one.node, at: "\(one.folder.path)/m")
        let (first, second) = (try source.device(in: one.port), try source.device(in: two.port))
        #expect(second?.uses.contains(.part(one.port, .mounted(mounted.place))) == true)
        #expect(try #require(first).canonical.conflicts(with: #require(second).canonical))
        let halves = try disjoint.map { try #require(try source.device(in: $0.port)).canonical }
        let (head, tail) = (try #require(halves.first), try #require(halves.last))
        #expect(!head.conflicts(with: tail))
        #expect(try tail.conflicts(with: #require(first).canonical))
    }

    @Test("Only the device in the port is looked at when that decides, else all are")
    func candidates() throws {
        let (one, two) = (try LoopDevice(), try LoopDevice())
        let port = one.port
        func found(_ identity: String?) throws -> [Port] {
            try source.candidates(
                for: DeviceReference(
                    .block, source: .host, port: port, identity: identity.map { try DeviceIdentity($0) })
            ).map(\.port)
        }
        #expect(try found(nil) == [port])
        #expect(try found(one.file) == [port])
        #expect(try found(two.file).contains(two.port))
        let anywhere = try DeviceReference(.block, source: .host, identity: DeviceIdentity(two.file))
        let device = try #require(try source.device(in: two.port))
        #expect(try anywhere.match(among: source.candidates(for: anywhere)) == .found(device, movedFrom: nil))
    }

    /// Devices that this machine does not have, with the attributes that the kernel gives them.
    @Test(
        "A device is described by what the kernel says of it",
        arguments: [
            (
                "sda", ["size": "8", "ro": "0", "device/vendor": "ATA     ", "device/model": "Disk X  "],
                "ATA Disk X", "sda"
            ),
            ("nvme0n1", ["size": "8", "ro": "0", "device/model": "Fast", "device/serial": "S2 "], "Fast", "S2"),
            ("vdb", ["size": "8", "ro": "1", "device/vendor": "0x1af4", "serial": "data-1"], "disk", "data-1"),
            ("sdc", ["size": "8", "ro": "0", "device/vpd_pg80": "\0\u{7f}\0\u{2}AB"], "disk", "sdc"),
            ("dm-0", ["size": "8", "ro": "0", "dm/name": "vg-root"], "vg-root", "vg-root"),
            ("cciss!c0d0", ["size": "8", "ro": "0"], "disk", "cciss_c0d0"),
        ])
    func described(name: String, attributes: [String: String], title: String, serial: String) throws {
        let device = try #require(try rebuilt(name, attributes))
        #expect(device.title == title)
        #expect(device.block?.serial == serial)
        #expect(device.block?.size == 4096)
        #expect(device.block?.isReadOnly == (attributes["ro"] == "1"))
        #expect(device.block?.node == "/dev/" + name.split(separator: "!").joined(separator: "/"))
    }

    @Test(
        "What cannot be given to a VM is not offered",
        arguments: [
            ("sr0", ["size": "0", "ro": "1", "removable": "1"]),
            ("nbd0", ["size": "0", "ro": "0", "removable": "0"]),
            ("nvme0c0n1", ["size": "8", "ro": "0", "hidden": "1"]),
            ("sda", ["ro": "0"]),
            ("sda", ["size": "99999999999999999999", "ro": "0"]),
            ("sda", ["size": "18446744073709551615", "ro": "0"]),
            ("sda", ["size": "8"]),
            ("sda", ["size": "8", "ro": "what"]),
            ("ram0", ["size": "8", "ro": "0"]),
            ("SDA", ["size": "8", "ro": "0"]),
        ])
    func unfit(name: String, attributes: [String: String]) throws {
        #expect(try rebuilt(name, attributes) == nil)
    }

    private func rebuilt(_ name: String, _ attributes: [String: String]) throws -> Device? {
        let folder = try TemporaryFolder()
        try folder.write("sys/block/\(name)/dev", "8:0\n")
        for (attribute, text) in attributes { try folder.write("sys/block/\(name)/\(attribute)", "\(text)\n") }
        let root = Root(folder.path)
        let usage = HostUsage(mounts: MountTable(mountinfo: []), swaps: [], root: root)
        return BlockInventory(root: root, usage: usage)
            .device(BlockFolder(path: root.path("/sys/block/\(name)")), udev: UdevRecord())
    }

    @Test("Several references are answered in their order, each as it is alone")
    func severalCandidates() throws {
        let (one, two) = (try LoopDevice(), try LoopDevice())
        let references = try [
            DeviceReference(.block, source: .host, port: two.port),
            DeviceReference(.block, source: VMName("sys-usb"), port: one.port),
            DeviceReference(.block, source: .host, identity: DeviceIdentity(one.file)),
            DeviceReference(.block, source: .host, port: Port("nosuch7", of: .block)),
            DeviceReference(.block, source: .host, port: one.port, identity: DeviceIdentity(one.file)),
        ]
        let found = try source.candidates(for: references)
        #expect(found.count == references.count)
        #expect(found.element(0)?.map(\.port) == [two.port])
        #expect(found.element(1) == [])
        #expect(found.element(2)?.contains { $0.port == one.port } == true)
        #expect(found.element(3) == [])
        #expect(found.element(4)?.map(\.port) == [one.port])
    }

    @Test("Each class has devices of its own alone, and another source's are none of this host's")
    func others() throws {
        for deviceClass in DeviceClass.allCases {
            #expect(try source.devices(of: deviceClass).allSatisfy { $0.deviceClass == deviceClass })
        }
        let elsewhere = try DeviceReference(.block, source: VMName("sys-usb"), port: Port("loop0", of: .block))
        #expect(try source.candidates(for: elsewhere) == [])
    }

    @Test("Devices are listed in the order of their ports, and memory is none of them")
    func order() throws {
        let loops = try (0..<3).map { _ in try LoopDevice() }
        let ports = try withExtendedLifetime(loops) { try source.devices(of: .block).map(\.port) }
        #expect(ports == ports.sorted())
        #expect(!ports.contains { $0.description.hasPrefix("zram") || $0.description.hasPrefix("ram") })
    }

    @Test("Why a port is empty is told where it is known")
    func absence() throws {
        let loop = try LoopDevice()
        let (port, node) = (loop.port, loop.node)
        #expect(source.absence(of: port, in: .block) == nil)
        #expect(try source.absence(of: Port("nosuch7", of: .block), in: .block) == nil)
        #expect(source.absence(of: port, in: .usb) == nil)
        if FileManager.default.fileExists(atPath: "/sys/block/zram0") {
            #expect(
                try source.absence(of: Port("zram0", of: .block), in: .block) == "/dev/zram0 is memory of this host"
            )
            #expect(try source.device(in: Port("zram0", of: .block)) == nil)
        }
        // A device of our own that nobody can take between two calls: its folder is rebuilt without the file.
        let folder = try TemporaryFolder()
        try folder.write("sys/devices/virtual/block/\(port)/size", "0\n")
        try folder.link("dev", to: "/dev")
        let other = HostSource(root: Root(folder.path))
        #expect(other.absence(of: port, in: .block) == "\(node) exists but has no backing file")
        #expect(try other.device(in: port) == nil)
    }

    @Test("Under another root whose /dev and /sys are the host's there are the same devices")
    func otherRoot() throws {
        let loop = try LoopDevice(partitions: 1)
        let folder = try TemporaryFolder()
        try folder.link("dev", to: "/dev")
        try folder.link("sys", to: "/sys")
        let other = HostSource(root: Root(folder.path))
        for port in [loop.port, try loop.partition(1)] {
            let device = try #require(try other.device(in: port))
            #expect(try device == source.device(in: port))
            _ = try other.claim(device, readOnly: false)
        }
    }

    @Test(
        "What udev knows of a device is used where udev runs, and only there; a device that it is not done with waits"
    )
    func udev() async {
        await #expect(processExitsWith: .success) {
            try enterPrivateRun()
            let source = HostSource(root: .host)
            let loop = try LoopDevice()
            let port = loop.port
            let number = try #require(try source.device(in: port)?.block?.number)

            let record =
                "S:disk/by-id/wwn-0x50\nS:disk/by-id/ata-Disk_SN0001\nS:disk/by-label/x\nI:1\n"
                + "E:ID_SERIAL_SHORT=SN0001\nE:ID_VENDOR=Acme\nE:ID_MODEL=Fast_Disk\nE:ID_FS_LABEL=backup\n"
            let run = URL(fileURLWithPath: "/run/udev")
            try FileManager.default.createDirectory(
                at: run.appendingPathComponent("data"), withIntermediateDirectories: true)
            let data = run.appendingPathComponent("data/b\(number)")
            try Data(record.utf8).write(to: data)
            let without = try #require(try source.device(in: port))
            #expect(without.identities.map(\.description) == [loop.file])
            #expect(without.block?.serial == port.description)

            try Data().write(to: run.appendingPathComponent("control"))
            let with = try #require(try source.device(in: port))
            #expect(with.identities.map(\.description) == ["ata-Disk_SN0001", "wwn-0x50", loop.file])
            #expect(with.block?.serial == "SN0001")
            #expect(with.title == "\(loop.file) (backup)")

            try FileManager.default.removeItem(at: data)
            #expect(try source.device(in: port) == nil)
            #expect(source.absence(of: port, in: .block) == "udev has not finished with \(loop.node) yet")
        }
    }

    @Test("A disk has gone when another one has its name, or none has; one that is there has not")
    func gone() throws {
        let loop = try LoopDevice()
        let sequence = try #require(try source.device(in: loop.port)?.sequence)
        #expect(!source.hasGone(sequence, from: loop.port, of: .block))
        #expect(source.hasGone(sequence + 1, from: loop.port, of: .block))
        #expect(source.hasGone(sequence, from: try Port("sdzz", of: .block), of: .block))
    }
}
