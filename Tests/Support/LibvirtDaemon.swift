import Foundation
import Glibc
package import Hypervisors
import Platform

/// A real libvirtd whose /run, /etc/libvirt and /var/lib/libvirt are in a folder of its own; it ends with the last
/// reference.
package final class LibvirtDaemon: @unchecked Sendable {
    /// The folder, which is a root for the programs.
    package let folder: TemporaryFolder
    package private(set) var bus: MessageBus?
    private var process = Process()

    /// How it is asked.
    package enum Way: String, CaseIterable, Sendable {
        case virsh, bus
    }

    /// Asking QEMU what it can do takes libvirt seconds: once for all tests.
    private static let capabilities: TemporaryFolder? = {
        guard let daemon = try? LibvirtDaemon(capabilities: nil), let folder = try? TemporaryFolder() else {
            return nil
        }
        _ = try? daemon.virsh("domcapabilities", "--virttype", "qemu")
        let (source, copy) = (daemon.folder.path + "/cache", folder.path + "/cache")
        guard (try? FileManager.default.copyItem(atPath: source, toPath: copy)) != nil else { return nil }
        return folder
    }()

    package convenience init(_ way: Way = .virsh, in folder: TemporaryFolder? = nil) throws {
        try self.init(in: folder, capabilities: LibvirtDaemon.capabilities)
        if way == .bus { bus = try MessageBus(root: self.folder.path, service: .activatable) }
    }

    /// With a bus that is no way to it, or none that we may take.
    package convenience init(bus service: MessageBus.Service) throws {
        try self.init()
        bus = try MessageBus(root: folder.path, service: service)
    }

    private init(in folder: TemporaryFolder? = nil, capabilities: TemporaryFolder?) throws {
        let folder = try folder ?? TemporaryFolder()
        self.folder = folder
        if let capabilities {
            try FileManager.default.copyItem(atPath: capabilities.path + "/cache", toPath: folder.path + "/cache")
        }
        for name in ["run", "lib", "cache", "etc", "log"] {
            try FileManager.default.createDirectory(
                atPath: "\(folder.path)/\(name)", withIntermediateDirectories: true)
        }
        try """
        auth_unix_rw = "none"
        log_outputs = "1:file:\(folder.path)/log/daemon"
        log_filters = "1:qemu.qemu_process"

        """.write(toFile: folder.path + "/etc/libvirtd.conf", atomically: true, encoding: .utf8)
        try """
        security_driver = "none"
        user = "root"
        group = "root"
        cgroup_controllers = []
        namespaces = []
        stdio_handler = "file"

        """.write(toFile: folder.path + "/etc/qemu.conf", atomically: true, encoding: .utf8)
        try start()
    }

    deinit { stop() }

    /// Its libvirt, as the programs find it.
    package var hypervisor: Libvirt { Libvirt(root: Root(folder.path), connection: .system, timeout: .seconds(60)) }

    /// Whether a VM of that name has run since this was started, for however short a time.
    package func hasRun(_ vm: String) throws -> Bool {
        try String(contentsOfFile: folder.path + "/log/daemon", encoding: .utf8)
            .contains("Transitioned guest \(vm) into running state")
    }

    private var socket: String { folder.path + "/run/libvirt/libvirt-sock" }

    /// Starts it, and waits until it answers.
    package func start() throws {
        process = Process()
        let binds = [
            ("run", "/run"), ("lib", "/var/lib/libvirt"), ("cache", "/var/cache/libvirt"), ("etc", "/etc/libvirt"),
            ("log", "/var/log/libvirt"),
        ].map { "mount --bind \(folder.path)/\($0) \($1) && " }.joined()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/unshare")
        process.arguments = [
            "--mount", "--propagation", "private", "sh", "-c",
            "\(binds)exec libvirtd -f /etc/libvirt/libvirtd.conf -p /run/libvirtd.pid",
        ]
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        guard isServed(socket, by: process) else { throw Failed(message: "libvirtd does not answer") }
    }

    /// Ends it, and leaves its domains running, as an upgrade of the package does.
    package func stop() {
        guard process.isRunning else { return }
        Foundation.kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
        try? FileManager.default.removeItem(atPath: socket)
    }

    /// Runs virsh on it.
    @discardableResult
    package func virsh(_ arguments: String...) throws -> String {
        try virsh(arguments)
    }

    package func virsh(_ arguments: [String]) throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/virsh")
        process.arguments = ["--connect", "qemu+unix:///system?socket=\(socket)", "--quiet"] + arguments
        let output = Pipe()
        process.standardOutput = output
        process.standardError = output
        try process.run()
        let bytes = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        let text = String(decoding: bytes, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
        guard process.terminationStatus == 0 else {
            throw Failed(message: "virsh \(arguments.joined(separator: " ")): \(text)")
        }
        return text
    }

    /// It did not do what was asked of it.
    package struct Failed: Error {
        package let message: String
    }
}

/// A folder that goes with the last reference.
package final class TemporaryFolder: Sendable {
    package let path: String
    private let isOurs: Bool

    package init() throws {
        path = "/tmp/vmdev-\(UUID().uuidString.prefix(8))"
        isOurs = true
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    /// One that is there, and stays.
    package init(of path: String) {
        self.path = path
        isOurs = false
    }

    deinit { if isOurs { try? FileManager.default.removeItem(atPath: path) } }
}
