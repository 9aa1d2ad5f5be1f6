internal import Assignments
internal import Devices
internal import HostDevices
internal import Hypervisors
public import Platform
public import Settings

extension Applier {
    /// The applier of a host: its table, its devices, its hypervisor, as its settings say.
    public init(root: Root, settings: Settings, reporter: any Reporter) {
        self.init(
            store: AssignmentTable(root: root), sources: [HostSource(root: root)],
            hypervisor: QEMU(root: root, socket: settings.qmpSocket, timeout: settings.qmpTimeout), root: root,
            reporter: reporter, timeout: settings.qmpTimeout)
    }
}
