internal import CLinux

/// Open-file-description locks (fcntl(2)): they belong to the open file, so a process that gets a copy of the
/// descriptor keeps the lock when we have gone, and the kernel frees it however that process dies.
extension Descriptor {
    /// What may be locked by whom.
    public enum Lock: Sendable, Equatable {
        /// Nobody holds a lock.
        case none
        /// Several may hold it together.
        case shared
        /// One alone holds it.
        case exclusive

        var kind: vmdev_lock_kind {
            switch self {
            case .none: VMDEV_LOCK_NONE
            case .shared: VMDEV_LOCK_READ
            case .exclusive: VMDEV_LOCK_WRITE
            }
        }

        init(_ kind: Int32) {
            self = kind == 2 ? .exclusive : kind == 1 ? .shared : .none
        }
    }

    /// Takes (or drops, with `.none`) the lock at once; answers false when somebody else's stands in the way.
    public func tryLock(_ lock: Lock) throws(SystemCallError) -> Bool {
        let result = vmdev_lock_set(raw, lock.kind)
        if result == 0 { return true }
        let error = SystemCallError("lock", "descriptor \(raw)", code: result)
        if error.isBusy || error.isPermission { return false }
        throw error
    }

    /// Which lock of others would stand in the way of `wanted`; `.none` when it is free.
    public func obstacle(to wanted: Lock) throws(SystemCallError) -> Lock {
        try obstacle(to: wanted, bytes: 0, count: 0)
    }

    /// The same for `count` bytes from `start`.
    public func obstacle(to wanted: Lock, bytes start: Int64, count: Int64) throws(SystemCallError) -> Lock {
        let result = vmdev_lock_probe_range(raw, wanted.kind, start, count)
        guard result >= 0 else { throw SystemCallError("lock", "descriptor \(raw)", code: result) }
        return Lock(result)
    }
}
