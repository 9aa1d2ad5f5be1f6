internal import Devices
internal import Hypervisors
internal import Platform

/// Gives the proof that a VM has a device to whoever can keep it: the VM's own process, or a lease that names it.
struct Custodian {
    let vm: any RunningVM
    let folder: LockFolder

    /// Makes the VM the holder of the device, whose locks we have.
    func entrust(_ locks: [HeldLock], of record: LockRecord) throws(HypervisorError) {
        switch vm.custody {
        case .locks(let keeper):
            for lock in locks { try keeper.hold(lock.descriptor, as: lock.name) }
        case .lease(let holder):
            do { try folder.leases.grant(Lease(record: record, holder: holder)) } catch {
                throw failure("written", error)
            }
        case .hypervisor: break
        }
    }

    /// Makes the VM, which is the holder of `record`, that of `renewed` instead, whose locks we have: the same attachment of a
    /// device that is elsewhere now.
    func move(_ locks: [HeldLock], from record: LockRecord, to renewed: LockRecord) throws(HypervisorError) {
        try entrust(locks, of: renewed)
        // There is one lease for an attachment, and it was written over.
        guard case .locks(let keeper) = vm.custody else { return }
        let kept = HeldLock.names(of: renewed)
        for name in HeldLock.names(of: record) where !kept.contains(name) { try keeper.letGo(name) }
    }

    /// Ends that; it is no error when it was not so.
    func drop(_ record: LockRecord) throws(HypervisorError) {
        switch vm.custody {
        case .locks(let keeper):
            for name in HeldLock.names(of: record) { try keeper.letGo(name) }
        case .lease:
            do { try folder.leases.end(record) } catch { throw failure("removed", error) }
        case .hypervisor: break
        }
    }

    private func failure(_ what: String, _ error: SystemCallError) -> HypervisorError {
        HypervisorError(
            error.isPermission ? .forbidden : .refused, "VM \(vm.name): its lease cannot be \(what): \(error)",
            remedy: error.isPermission ? "Run as root" : "See that \(folder.leases.path) can be written")
    }
}
