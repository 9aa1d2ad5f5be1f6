import Devices
import Foundation
import Glibc
import Platform

@testable import HostDevices

/// Foundation has another.
typealias Port = Devices.Port

/// Runs a program and answers its output; throws what it wrote to standard error when it fails.
@discardableResult
func run(_ words: String...) throws -> String { try run(words) }

@discardableResult
func run(_ words: [String]) throws -> String {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = words
    process.environment = ["PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"]
    let (output, errors) = (Pipe(), Pipe())
    process.standardOutput = output
    process.standardError = errors
    try process.run()
    let text = output.fileHandleForReading.readDataToEndOfFile()
    let complaint = errors.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else {
        throw ProgramFailure(text: String(decoding: complaint, as: UTF8.self))
    }
    return String(decoding: text, as: UTF8.self).trimmingCharacters(in: .newlines)
}

struct ProgramFailure: Error, CustomStringConvertible {
    let text: String
    var description: String { text }
}

/// A folder that is removed with its last reference.
final class TemporaryFolder {
    let path: String

    init() throws {
        path = "/tmp/vmdev-test-\(UInt64.random(in: 0 ... .max))"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func write(_ name: String, _ text: String) throws {
        let file = URL(fileURLWithPath: "\(path)/\(name)")
        try FileManager.default.createDirectory(
            at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(text.utf8).write(to: file)
    }

    func link(_ name: String, to target: String) throws {
        let file = URL(fileURLWithPath: "\(path)/\(name)")
        try FileManager.default.createDirectory(
            at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        try FileManager.default.createSymbolicLink(atPath: file.path, withDestinationPath: target)
    }
}

/// A real loop device that goes with its last reference.
final class LoopDevice {
    let folder: TemporaryFolder
    let file: String
    let node: String
    let port: Port
    func partition(_ number: Int) throws -> Port { try Port("\(port)p\(number)", of: .block) }

    /// With a number of partitions of 4 MiB each, in a partition table as MS-DOS has it.
    init(named name: String = "disk.img", mebibytes: Int = 16, partitions: Int = 0, readOnly: Bool = false) throws {
        folder = try TemporaryFolder()
        file = "\(folder.path)/\(name)"
        var table = [UInt8](repeating: 0, count: 512)
        for index in 0..<partitions {
            let entry = 446 + 16 * index
            table[entry + 4] = 0x83
            let start = UInt32(2048 + 8192 * index)
            for byte in 0..<4 {
                table[entry + 8 + byte] = UInt8(truncatingIfNeeded: start >> (8 * UInt32(byte)))
                table[entry + 12 + byte] = UInt8(truncatingIfNeeded: UInt32(8192) >> (8 * UInt32(byte)))
            }
        }
        if partitions > 0 { (table[510], table[511]) = (0x55, 0xaa) }
        try Data(table).write(to: URL(fileURLWithPath: file))
        guard truncate(file, mebibytes << 20) == 0 else { throw SystemCallError("truncate", file, code: errno) }
        node = try LoopDevice.attach(file, readOnly: readOnly)
        port = try Port(node.dropFirst("/dev/".count), of: .block)
        // A kernel may be built without the knowledge of any partition table: then partx tells it.
        if partitions > 0 { try run("partx", "-u", node) }
    }

    /// On top of a block device or file that is there, or of a range of it.
    init(over device: String, _ range: [String] = []) throws {
        folder = try TemporaryFolder()
        file = device
        node = try LoopDevice.attach(device, readOnly: false, range)
        port = try Port(node.dropFirst("/dev/".count), of: .block)
    }

    private var isAttached = true

    deinit { try? detach() }

    /// Takes the file away, once: later the number may be another test's.
    func detach() throws {
        guard isAttached else { return }
        isAttached = false
        try run("losetup", "-d", node)
    }

    private static func attach(_ file: String, readOnly: Bool, _ range: [String] = []) throws -> String {
        try run(["losetup", "-f", "--show", "-P"] + (readOnly ? ["-r"] : []) + range + [file])
    }
}

/// A mounted file system that goes with its last reference.
final class Mounted {
    let place: String

    init(_ node: String, at place: String) throws {
        self.place = place
        try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: true)
        try run("mount", node, place)
    }

    deinit { _ = try? run("umount", place) }
}

extension HostSource {
    /// The one device in a port.
    func device(in port: Port) throws -> Device? {
        try candidates(for: DeviceReference(.block, source: .host, port: port)).first
    }
}

/// Gives this thread a /run of its own, empty, for the child process of an exit test.
func enterPrivateRun() throws {
    // Glibc's module does not show unshare(2).
    let symbol = dlsym(nil, "unshare")
    typealias Unshare = @convention(c) (Int32) -> Int32
    let unshare = unsafeBitCast(symbol, to: Unshare.self)
    guard unshare(0x20000) == 0 else { throw SystemCallError("unshare", "mounts", code: errno) }  // CLONE_NEWNS
    guard mount("none", "/", nil, 0x4000 | 0x40000, nil) == 0 else {  // MS_REC | MS_PRIVATE
        throw SystemCallError("make private", "/", code: errno)
    }
    guard mount("tmpfs", "/run", "tmpfs", 0, nil) == 0 else {
        throw SystemCallError("mount", "/run", code: errno)
    }
}

extension HostSource {
    /// A claim for some VM, without options.
    func claim(_ device: Device, readOnly: Bool) throws(SourceError) -> Descriptor {
        guard let claim = try claim(device, for: .host, readOnly: readOnly, options: .none) else {
            throw SourceError(.unreadable, "no descriptor")
        }
        return claim
    }
}
