public import Assignments
public import Devices
public import HostDevices
public import Hypervisors
public import Platform
internal import Qubes
public import Settings
internal import SourceVMs
internal import Systemd

/// What our programs work with on one host, as its settings say: the one place where the parts are chosen.
public struct Host: Sendable {
    /// Where etc, run, sys and dev are.
    public let root: Root
    /// The settings it was made from.
    public let settings: Settings
    /// Where assignments are kept.
    public let store: any AssignmentStore
    /// Who exposes devices.
    public let sources: [any DeviceSource]
    /// What runs the VMs.
    public let hypervisor: any Hypervisor
    /// How long it may take for an answer.
    public let timeout: Duration
    /// qubesd, where Qubes OS runs the VMs: it is what has assignments, devices and VMs there; nil elsewhere.
    public let qubes: QubesAdmin?

    /// Who exposes devices by that name; nil when nobody does. On Qubes OS every VM may, and what it does is qubesd's to say.
    public func source(_ name: VMName) -> (any DeviceSource)? {
        sources.first { $0.name == name } ?? qubes.map { QubesSource(name, admin: $0) }
    }

    /// In dom0 of a Qubes OS: writes down what qubesd keeps, for the generator, which cannot ask it at boot.
    public func keepCopy() throws {
        guard qubes != nil, (try? FileStatus.ofEntry(QubesdSocket(root: root).path)) != nil else { return }
        try AssignmentCopy(root: root).replace(with: try store.allAssignments().assignments)
    }

    /// Chooses the parts.
    public init(root: Root, settings: Settings) {
        self.root = root
        self.settings = settings
        // Qubes OS first: its dom0 has a libvirt as well, which is qubesd's.
        let isQubes =
            settings.hypervisor == .qubes || settings.hypervisor == .auto && QubesAdmin.isPresent(root: root)
        if isQubes {
            let admin = QubesAdmin(root: root, timeout: settings.qubesTimeout)
            qubes = admin
            store = QubesStore(admin)
            hypervisor = Qubes(admin, agent: root.path("/var/run/qubes/device-agent.GUI"))
            timeout = settings.qubesTimeout
            sources = [QubesSource(.host, admin: admin)]
            return
        }
        qubes = nil
        store = AssignmentTable(root: root)
        let hypervisor: any Hypervisor
        let timeout: Duration
        // Only a socket is looked for, and nobody asked: libvirt's own hook ends up here, and libvirt waits for it.
        let isLibvirt =
            settings.hypervisor == .libvirt || settings.hypervisor == .auto && Libvirt.isPresent(root: root)
        if isLibvirt {
            hypervisor = Libvirt(
                root: root, connection: Libvirt.Connection(rawValue: settings.libvirtURI) ?? .system,
                timeout: settings.libvirtTimeout)
            timeout = settings.libvirtTimeout
        } else {
            hypervisor = QEMU(root: root, socket: settings.qmpSocket, timeout: settings.qmpTimeout)
            timeout = settings.qmpTimeout
        }
        self.hypervisor = hypervisor
        self.timeout = timeout
        sources =
            [HostSource(root: root)]
            + settings.sources.map { source in
                SourceVM(
                    name: source.name, address: source.address.below(root.prefix), timeout: timeout,
                    isRunning: { hypervisor.isRunning(source.name) })
            }
    }
}

extension Applier {
    /// The applier of a host.
    public init(_ host: Host, reporter: any Reporter) {
        self.init(
            store: host.store, sources: host.sources, hypervisor: host.hypervisor, root: host.root,
            reporter: reporter, timeout: host.timeout, standardWait: { deviceTimeout(on: host) },
            sourceWait: host.settings.deviceTimeout ?? .seconds(30), otherSource: host.source)
    }
}

/// DeviceTimeoutSec=; without it, 30 s while the host boots and its devices are still being found, and none once it is up.
private func deviceTimeout(on host: Host) -> Duration {
    if let timeout = host.settings.deviceTimeout { return timeout }
    guard host.root.isHost else { return .zero }
    // If systemd does not say whether it is booting, too long a wait does no harm.
    return (try? ServiceManager().isBooting()) ?? true ? .seconds(30) : .zero
}
