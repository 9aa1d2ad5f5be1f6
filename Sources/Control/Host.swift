internal import Applying
internal import Assignments
internal import HostDevices
internal import Hypervisors
internal import Platform
internal import Settings

extension Controller {
    /// What works on one host, as its settings say; `refresh` is called after each change of the table.
    init(root: Root, settings: Settings, reporter: any Reporter, refresh: @escaping @Sendable () -> Void) {
        self.init(
            applier: Applier(root: root, settings: settings, reporter: reporter),
            store: HookedStore(table: AssignmentTable(root: root), refresh: refresh),
            sources: [HostSource(root: root)],
            hypervisor: QEMU(root: root, socket: settings.qmpSocket, timeout: settings.qmpTimeout),
            locks: LockFolder(root: root))
    }
}
