import Devices
import Foundation
import Hypervisors
import Platform

/// A real block device: a loop device over a file, both gone with the last reference.
final class LoopDisk: Sendable {
    /// `/dev/loop7`.
    let node: String
    private let file: String

    /// Makes a disk of `size` bytes.
    init(size: Int = 4 << 20) throws {
        file = NSTemporaryDirectory() + "vmdev-disk-\(UUID().uuidString)"
        try Data().write(to: URL(fileURLWithPath: file))
        let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: file))
        try handle.truncate(atOffset: UInt64(size))
        try handle.close()
        node = try run("losetup", "--find", "--show", file)
    }

    deinit {
        _ = try? run("losetup", "--detach", node)
        try? FileManager.default.removeItem(atPath: file)
    }

    /// `loop7`.
    var portName: String { String(node.dropFirst("/dev/".count)) }

    /// The disk as the model has it.
    func device(size: UInt64 = 4 << 20, port: String? = nil) throws -> Device {
        Device(
            .block, source: .host, port: try Port(port ?? portName, of: .block), title: "a loop device",
            canonical: CanonicalDevice(key: "block-\(portName)"),
            details: .block(
                Device.Block(
                    node: node, number: Device.Number(major: 7, minor: 0), sequence: nil, size: size,
                    isReadOnly: false, serial: "S-\(portName)", parent: nil)))
    }

    /// A request to attach it, with the disk opened and claimed. `size` and `port` are for what is to go wrong.
    func request(
        readOnly: Bool = false, options: [(String, String)] = [], size: UInt64 = 4 << 20, port: String? = nil,
        claimed: Bool = true
    ) throws -> AttachRequest {
        let flags: Descriptor.Options = readOnly ? [] : .readWrite
        return AttachRequest(
            device: try device(size: size, port: port),
            options: try DeviceOptions(options.map { (key: $0.0, value: $0.1) }, of: .block), readOnly: readOnly,
            backing: .open(try Descriptor.open(node, claimed ? [flags, .exclusive] : flags)))
    }

    /// Whether somebody keeps it from being claimed (mounted).
    var isClaimed: Bool {
        do {
            _ = try Descriptor.open(node, .exclusive)
            return false
        } catch {
            return error.isBusy
        }
    }
}

/// Runs a program to its end and answers with what it printed, without the last line break.
@discardableResult
func run(_ program: String, _ arguments: String...) throws -> String {
    let process = Process()
    let pipe = Pipe()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = [program] + arguments
    process.standardOutput = pipe
    try process.run()
    let output = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else { throw ProgramFailed(program: program, arguments: arguments) }
    return String(decoding: output, as: UTF8.self).trimmingCharacters(in: .newlines)
}

/// A program that did not succeed.
struct ProgramFailed: Error {
    let program: String
    let arguments: [String]
}
