public import Applying
internal import Assignments
internal import HostDevices
internal import Hypervisors
public import Platform
public import Settings

extension Controller {
    /// What works on one host, as its settings say.
    public init(root: Root, settings: Settings, reporter: any Reporter) {
        self.init(
            applier: Applier(root: root, settings: settings, reporter: reporter),
            store: AssignmentTable(root: root), sources: [HostSource(root: root)],
            hypervisor: QEMU(root: root, socket: settings.qmpSocket, timeout: settings.qmpTimeout),
            locks: LockFolder(root: root))
    }
}
