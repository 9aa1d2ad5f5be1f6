import Foundation
import Glibc
import Platform
import Synchronization

/// A disk of the host: a file on a loop device. Both go with the value; until then nobody else gets that number, not
/// even after `detach()`.
final class LoopDisk {
    /// `/dev/loop3`.
    var path: String { "/dev/\(port)" }
    /// `loop3`: the port, and the serial that a guest sees.
    var port: String { "loop\(number)" }
    /// How it begins.
    let text: String
    private let number: Int
    /// While this is open the kernel keeps the disk, and not longer: nothing is left of it however the tests end.
    private var holder: Descriptor?

    private static let numbers = Mutex<Set<Int>>([])
    /// From 100 on, for `losetup --find`, which others use, takes the lowest; two runs at a time seldom meet.
    private static let range = 100 + Int(getpid() % 4) * 100..<200 + Int(getpid() % 4) * 100

    /// Makes a disk of so many MiB.
    init(megabytes: Int = 8, readOnly: Bool = false) throws {
        if let unmet = Requirement.wholeHost { throw Failure("this test \(unmet)") }
        let file = temporaryPath("disk")
        defer { unlink(file) }
        text = "disk \(UInt64.random(in: 0...UInt64.max))"
        guard FileManager.default.createFile(atPath: file, contents: Data("\(text)\n".utf8)),
            truncate(file, megabytes << 20) == 0
        else { throw Failure("cannot write \(file): errno \(errno)") }
        number = try LoopDisk.numbers.withLock { taken in
            // With --partscan, for without it a loop device has no partitions.
            let options = readOnly ? ["--partscan", "--read-only"] : ["--partscan"]
            for number in LoopDisk.range where !taken.contains(number) {
                guard try run("losetup", options + ["/dev/loop\(number)", file]).status == 0 else { continue }
                taken.insert(number)
                return number
            }
            throw Failure("no loop device is left")
        }
        holder = try Descriptor.open(path)
        try tool("losetup", "--detach", path)  // that is: once nobody has it open
    }

    deinit {
        detach()
        _ = LoopDisk.numbers.withLock { $0.remove(number) }
    }

    /// Takes the disk away, as pulling its plug does.
    func detach() { holder = nil }

    /// Makes partition 1 (4 MiB, from the first on), and answers its port.
    func addPartition() throws -> String {
        // Told to the kernel directly: it need not know any partition table.
        try tool("addpart", path, "1", "2048", "8192")
        return port + "p1"
    }

    /// Makes a file system on it and mounts that until the answer goes.
    func mount() throws -> Mount {
        try tool("mkfs.ext4", "-q", "-F", path)
        return try Mount(path)
    }
}

/// A mounted file system.
final class Mount {
    let point = temporaryPath("mount")

    init(_ device: String) throws {
        try FileManager.default.createDirectory(atPath: point, withIntermediateDirectories: true)
        try tool("mount", device, point)
    }

    deinit {
        _ = try? tool("umount", point)
        rmdir(point)
    }
}

/// The port of a disk that was never here.
let missingPort = "loop9999"
