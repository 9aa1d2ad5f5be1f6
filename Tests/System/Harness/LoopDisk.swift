import Foundation
import Glibc
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
    private let file: String
    private let number: Int
    private var isAttached = true

    private static let numbers = Mutex<Set<Int>>([])

    /// Makes a disk of so many MiB.
    init(megabytes: Int = 8, readOnly: Bool = false) throws {
        if let unmet = Requirement.wholeHost { throw Failure("this test \(unmet)") }
        let file = temporaryPath("disk")
        self.file = file
        text = "disk \(UInt64.random(in: 0...UInt64.max))"
        guard FileManager.default.createFile(atPath: file, contents: Data("\(text)\n".utf8)),
            truncate(file, megabytes << 20) == 0
        else { throw Failure("cannot write \(file): errno \(errno)") }
        number = try LoopDisk.numbers.withLock { taken in
            // From 100 on: `losetup --find`, which others use, takes the lowest.
            for number in 100..<200 where !taken.contains(number) {
                let options = readOnly ? ["--read-only"] : []
                // Another process may have that one.
                guard try run("losetup", options + ["/dev/loop\(number)", file]).status == 0 else { continue }
                taken.insert(number)
                return number
            }
            throw Failure("no loop device is left")
        }
    }

    deinit {
        detach()
        unlink(file)
        _ = LoopDisk.numbers.withLock { $0.remove(number) }
    }

    /// Takes the disk away, as pulling its plug does.
    func detach() {
        guard isAttached else { return }
        isAttached = false
        _ = try? tool("losetup", "--detach", path)
    }

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
