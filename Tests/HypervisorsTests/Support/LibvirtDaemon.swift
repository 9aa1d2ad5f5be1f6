import Devices
import Foundation
import Glibc
import Hypervisors
import Platform
import TestSupport

/// A real libvirtd whose /run, /etc/libvirt and /var/lib/libvirt are in a folder of its own; it ends with the last
/// reference.
final class LibvirtDaemon: @unchecked Sendable {
    let folder: TemporaryFolder
    private(set) var bus: MessageBus?
    private var process = Process()

    /// How it is asked.
    enum Way: String, CaseIterable, Sendable {
        case virsh, bus
    }

    /// Asking QEMU what it can do takes libvirt seconds: once for all tests.
    private static let capabilities: TemporaryFolder? = {
        guard let daemon = try? LibvirtDaemon(capabilities: nil) else { return nil }
        _ = try? daemon.virsh("domcapabilities", "--virttype", "qemu")
        guard let folder = try? TemporaryFolder() else { return nil }
        _ = try? run("cp", "-r", daemon.folder.path + "/cache/.", folder.path)
        return folder
    }()

    convenience init(_ way: Way = .virsh) throws {
        try self.init(capabilities: LibvirtDaemon.capabilities)
        if way == .bus { bus = try MessageBus(root: folder.path, service: .activatable) }
    }

    /// With a bus that is no way to it, or none that we may take.
    convenience init(bus service: MessageBus.Service) throws {
        try self.init()
        bus = try MessageBus(root: folder.path, service: service)
    }

    private init(capabilities: TemporaryFolder?) throws {
        folder = try TemporaryFolder()
        for name in ["run", "lib", "cache", "etc", "log"] {
            try FileManager.default.createDirectory(
                atPath: "\(folder.path)/\(name)", withIntermediateDirectories: true)
        }
        if let capabilities { _ = try run("cp", "-r", capabilities.path + "/.", folder.path + "/cache") }
        try "auth_unix_rw = \"none\"\nlog_outputs = \"3:file:\(folder.path)/log/daemon\"\n"
            .write(toFile: folder.path + "/etc/libvirtd.conf", atomically: true, encoding: .utf8)
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
    var hypervisor: Libvirt { Libvirt(root: Root(folder.path), connection: .system, timeout: .seconds(60)) }

    private var socket: String { folder.path + "/run/libvirt/libvirt-sock" }

    /// Starts it, and waits until it answers.
    func start() throws {
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
        let deadline = Deadline(after: .seconds(60))
        while (try? UnixSocket.connect(to: socket, until: deadline)) == nil {
            guard !deadline.hasPassed, process.isRunning else {
                throw ProgramFailed(program: "libvirtd", arguments: [])
            }
            usleep(20_000)
        }
    }

    /// Ends it, and leaves its domains running, as an upgrade of the package does.
    func stop() {
        guard process.isRunning else { return }
        Foundation.kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
        try? FileManager.default.removeItem(atPath: socket)
    }

    /// Runs virsh on it.
    @discardableResult
    func virsh(_ arguments: String...) throws -> String {
        try virsh(arguments)
    }

    func virsh(_ arguments: [String]) throws -> String {
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
            throw ProgramFailed(program: "virsh", arguments: arguments + [text])
        }
        return text
    }
}

/// A domain that was started paused; it ends with the last reference.
final class LibvirtDomain: @unchecked Sendable {
    let name: VMName
    let daemon: LibvirtDaemon

    /// Defines and starts a domain with `ports` free PCI Express ports and more XML among its devices.
    init(
        _ name: String = "work", ports: Int = 0, withUSB: Bool = false, devices: String = "",
        on daemon: LibvirtDaemon? = nil, isTransient: Bool = false
    ) throws {
        self.name = try VMName(name)
        self.daemon = try daemon ?? LibvirtDaemon()
        let file = self.daemon.folder.path + "/\(name).xml"
        try """
        <domain type='qemu'><name>\(name)</name><memory unit='MiB'>32</memory><vcpu>1</vcpu>
        <os><type arch='x86_64' machine='q35'>hvm</type></os><features><acpi/></features>
        <devices><controller type='pci' model='pcie-root'/><controller type='usb' model='\(withUSB ? "qemu-xhci" : "none")'/>
        \(String(repeating: "<controller type='pci' model='pcie-root-port'/>", count: ports))
        <memballoon model='none'/>\(devices)</devices></domain>
        """.write(toFile: file, atomically: true, encoding: .utf8)
        if isTransient {
            try self.daemon.virsh("create", file, "--paused")
        } else {
            try self.daemon.virsh("define", file)
            try self.daemon.virsh("start", name, "--paused")
        }
    }

    deinit { kill() }

    var hypervisor: Libvirt { daemon.hypervisor }

    /// The number of its QEMU; nil when it has ended.
    var pid: Int32? {
        (try? String(contentsOfFile: daemon.folder.path + "/run/libvirt/qemu/\(name).pid", encoding: .utf8))
            .flatMap { Int32($0.trimmingCharacters(in: .whitespacesAndNewlines)) }
    }

    func connect() throws -> any RunningVM {
        try hypervisor.connect(to: name, until: Deadline(after: .seconds(60)), waiting: true)
    }

    /// Ends QEMU as a crash does, and waits until libvirt has heard of it.
    func kill() {
        guard let pid else { return }
        Foundation.kill(pid, SIGKILL)
        while (try? ProcessHandle(pid: pid)?.waitForEnd(until: Deadline(after: .seconds(60)))) == false {}
        let deadline = Deadline(after: .seconds(30))
        while let list = try? daemon.virsh("list", "--name"), !deadline.hasPassed,
            list.split(separator: "\n").contains(Substring(name.description))
        {
            usleep(20_000)
        }
    }
}
