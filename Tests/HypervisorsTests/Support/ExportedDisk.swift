import Devices
import Foundation
import Glibc
import Hypervisors
import Platform
import TestSupport

/// A disk that a source VM exports: a real NBD server, and the connection that it is exported over. Both go with the last
/// reference.
final class ExportedDisk {
    static let size: UInt64 = 1 << 20

    private let folder: TemporaryFolder
    private let server = Process()
    /// The end for the VM.
    private var lease: Descriptor?
    /// The source's end of the connection.
    private let ours: Descriptor

    init(readOnly: Bool = false) throws {
        folder = try TemporaryFolder()
        let image = folder.path + "/image"
        try Data(count: Int(ExportedDisk.size)).write(to: URL(fileURLWithPath: image))
        var ends: [Int32] = [-1, -1]
        guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue) | 0o2_000_000, 0, &ends) == 0 else {
            throw SystemCallError("make", "a pair of sockets", code: errno)
        }
        (lease, ours) = (Descriptor(owning: ends[0]), Descriptor(owning: ends[1]))
        server.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        server.arguments =
            ["qemu-nbd", "--persistent", "--format=raw", "--export-name=sdb", "--socket=\(folder.path)/sock"]
            + (readOnly ? ["--read-only"] : []) + [image]
        server.standardInput = FileHandle.nullDevice
        let watch = try FolderWatch(folder.path)
        try server.run()
        let deadline = Deadline(after: .seconds(60))
        while access(folder.path + "/sock", F_OK) != 0 {
            guard try watch.next(until: deadline) else { throw ProgramFailed(program: "qemu-nbd", arguments: []) }
        }
    }

    deinit { stop() }

    /// The source VM dies.
    func stop() {
        shutdown(ours.raw, Int32(SHUT_RDWR))
        guard server.isRunning else { return }
        kill(server.processIdentifier, SIGKILL)
        server.waitUntilExit()
    }

    /// Leaves it to the VM alone to hold it.
    func forget() { lease = nil }

    /// Whether a VM keeps it exported.
    func isHeld(until deadline: Deadline) throws -> Bool { try !ours.wait(.readable, until: deadline) }

    /// A request for it.
    func request(readOnly: Bool = false, size: UInt64 = ExportedDisk.size) throws -> AttachRequest {
        let device = Device(
            .block, source: try VMName("sys-usb"), port: try Port("sdb", of: .block),
            identities: [try DeviceIdentity("usb-DISK")], title: "a disk",
            canonical: CanonicalDevice(key: "from:sys-usb:block-8:16"),
            details: .block(
                Device.Block(
                    node: "/dev/sdb", number: Device.Number(major: 0, minor: 0), sequence: 1, size: size,
                    isReadOnly: readOnly, serial: "S1", parent: nil)))
        guard let lease else { throw ProgramFailed(program: "qemu-nbd", arguments: []) }
        let disk = NetworkDisk(
            address: .unix(path: folder.path + "/sock"), export: "sdb", lease: try lease.duplicate())
        return AttachRequest(device: device, options: .none, readOnly: readOnly, backing: .networkDisk(disk))
    }
}
