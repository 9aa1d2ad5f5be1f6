public import Devices
internal import Glibc
public import Platform

/// The VMs that libvirt runs with QEMU.
public struct Libvirt: Hypervisor {
    /// "libvirt".
    public let name = "libvirt"

    /// Whose libvirt.
    public enum Connection: String, CaseIterable, Sendable {
        /// That of the host: "qemu:///system".
        case system = "qemu:///system"
        /// That of the user who calls: "qemu:///session".
        case session = "qemu:///session"
    }

    private let root: Root
    private let timeout: Duration
    private let way: LibvirtChoice

    /// Uses the libvirt under `root`, over D-Bus or by virsh; `timeout` is how long it may take for one answer.
    public init(root: Root, connection: Connection, timeout: Duration) {
        self.init(root: root, timeout: timeout, way: Libvirt.way(root: root, connection))
    }

    static func way(root: Root, _ connection: Connection) -> LibvirtChoice {
        let environment = Environment()
        return LibvirtChoice(
            address: connection == .system
                ? "unix:path=" + escaped(root.path("/run/dbus/system_bus_socket")) : environment.sessionBus,
            virsh: Virsh(
                program: "/usr/bin/virsh", uri: uri(connection, root), environment: environment.forVirsh))
    }

    init(root: Root, timeout: Duration, way: LibvirtChoice) {
        self.root = root
        self.timeout = timeout
        self.way = way
    }

    /// The sockets of libvirtd and of virtqemud, either of which may be the host's libvirt.
    static let sockets = ["/run/libvirt/virtqemud-sock", "/run/libvirt/libvirt-sock"]

    /// Whether a libvirt is there to be asked on this host.
    public static func isPresent(root: Root) -> Bool {
        sockets.contains { (try? FileStatus.ofEntry(root.path($0))) != nil }
    }

    /// The VMs that run. A domain whose name is not one that a VM can have with us is passed over: nothing can be
    /// assigned to it.
    public func runningVMs() throws(HypervisorError) -> [VMName] {
        let domains: [LibvirtDomain]
        do throws(LibvirtFailure) {
            let deadline = Deadline(after: timeout)
            domains = try way.transport(by: deadline).domains(active: true, by: deadline)
        } catch {
            throw HypervisorError(error, "the VMs of libvirt cannot be listed")
        }
        return domains.compactMap { try? VMName($0.name) }.filter { !$0.isHost }.sorted()
    }

    /// By its process, and without a question: libvirt may be waiting for its hook, in which this is asked.
    public func isRunning(_ vm: VMName) -> Bool? { LibvirtProcess.isRunning(vm, root: root) }

    /// Finds the domain and its process.
    public func connect(
        to vm: VMName, until deadline: Deadline, waiting: Bool
    ) throws(HypervisorError) -> any RunningVM {
        let transport: any LibvirtTransport
        do { transport = try way.transport(by: Deadline(after: timeout)) } catch {
            throw HypervisorError(error, "VM \(vm)")
        }
        let domain = try find(vm, by: transport, until: deadline, waiting: waiting)
        guard let process = LibvirtProcess.find(domain, root: root) else {
            throw HypervisorError(
                .unreachable, "VM \(vm): the QEMU process of its libvirt domain \(domain.uuid) cannot be found",
                remedy: "See whether it has ended just now (virsh list), and run this as root")
        }
        return LibvirtVM(
            name: vm, domain: domain.uuid, process: process, transport: transport, timeout: timeout,
            isStarting: waiting)
    }

    /// `frontend-dev` cannot be honoured.
    public func objection(to options: DeviceOptions, of deviceClass: DeviceClass) -> HypervisorError? {
        guard deviceClass == .block, options["frontend-dev"] != nil else { return nil }
        return HypervisorError(
            .unsupported, "frontend-dev cannot be honoured on libvirt: the guest names its own disks",
            remedy: "Drop the option, and have the guest use the disk by its serial: /dev/disk/by-id/virtio-SERIAL")
    }

    /// What the next start of a domain begins with.
    func storedDescription(of vm: VMName) throws(HypervisorError) -> String {
        do throws(LibvirtFailure) {
            let deadline = Deadline(after: timeout)
            let transport = try way.transport(by: deadline)
            let domains = try transport.domains(active: false, by: deadline)
            if let domain = domains.first(where: { $0.name == vm.description }) {
                return try transport.storedDescription(of: domain.uuid, by: deadline)
            }
        } catch {
            throw HypervisorError(error, "VM \(vm)")
        }
        throw HypervisorError(
            .notRunning, "VM \(vm): libvirt has no domain of that name", remedy: "See them with: virsh list --all")
    }

    private func find(
        _ vm: VMName, by transport: any LibvirtTransport, until deadline: Deadline, waiting: Bool
    ) throws(HypervisorError) -> LibvirtDomain {
        while true {
            do throws(LibvirtFailure) {
                let domains = try transport.domains(active: true, by: deadline)
                if let domain = domains.first(where: { $0.name == vm.description }) { return domain }
                if waiting && !deadline.hasPassed {
                    try transport.waitForNews(of: nil, until: deadline)
                    continue
                }
            } catch {
                throw HypervisorError(error, "VM \(vm)")
            }
            throw waiting
                ? HypervisorError(
                    .unreachable, "VM \(vm): libvirt runs no domain of that name in time",
                    remedy: "Start it with: virsh start --paused \(vm)")
                : HypervisorError(.notRunning, "VM \(vm) is not running: libvirt runs no domain of that name")
        }
    }

    /// Below another root it is by its socket that libvirt is named.
    static func uri(_ connection: Connection, _ root: Root) -> String {
        guard connection == .system, !root.isHost else { return connection.rawValue }
        let path = root.path(
            sockets.first { (try? FileStatus.ofEntry(root.path($0))) != nil } ?? "/run/libvirt/libvirt-sock")
        return "qemu+unix:///system?socket=\(escaped(path))"
    }
}

/// Where the session of the user who calls is, as far as the environment says.
private struct Environment {
    private func value(_ name: String) -> String? {
        guard let value = unsafe getenv(name) else { return nil }
        return unsafe String(cString: value)
    }

    /// What virsh gets of it.
    var forVirsh: [String] {
        ["HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"].compactMap { name in
            value(name).map { "\(name)=\($0)" }
        } + ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]
    }

    /// The address of the user's bus; nil where there is none.
    var sessionBus: String? {
        value("DBUS_SESSION_BUS_ADDRESS") ?? value("XDG_RUNTIME_DIR").map { "unix:path=" + escaped($0 + "/bus") }
    }
}

/// A path as URIs and addresses of D-Bus both take it.
private func escaped(_ path: String) -> String {
    path.utf8.map { byte in
        VMName.mayContain(byte) || byte == UInt8(ascii: "/")
            ? String(decoding: [byte], as: UTF8.self)
            : "%" + String(byte >> 4, radix: 16) + String(byte & 15, radix: 16)
    }.joined()
}

extension HypervisorError {
    /// What libvirt said, in our words: "VM x, asked to run: …".
    init(_ failure: LibvirtFailure, _ what: String) {
        switch failure {
        case .unreachable(let reason):
            self.init(
                .unreachable, "\(what): libvirt cannot be reached: \(reason)",
                remedy: "See that it runs: systemctl status libvirtd")
        case .forbidden(let reason):
            self.init(
                .forbidden, "\(what): libvirt may not be used: \(reason)",
                remedy: "Run this as root or as a member of the group libvirt")
        case .notRunning(let reason): self.init(.notRunning, "\(what): it does not run: \(reason)")
        case .refused(let reason): self.init(.refused, "\(what): libvirt refused: \(reason)")
        case .notUnderstood(let reason): self.init(.notUnderstood, "\(what): \(reason)")
        }
    }
}
