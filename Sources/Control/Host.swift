internal import Applying

extension Controller {
    /// What works on one host; `refresh` is called after each change of the table.
    init(_ host: Host, reporter: any Reporter, refresh: @escaping @Sendable () -> Void) {
        self.init(
            applier: Applier(host, reporter: reporter), store: HookedStore(table: host.store, refresh: refresh),
            sources: host.sources, hypervisor: host.hypervisor, locks: LockFolder(root: host.root),
            qubes: host.qubes)
    }
}
