public import Devices
internal import Hypervisors
public import Platform

/// The lock files under /run/vmdev/locks: the proof that no device is in two places.
///
/// A lock is an open-file-description lock whose descriptor is handed to the VM's own process, so it lives exactly as
/// long as that process has the device, and the kernel frees it however the process dies. The device itself is locked
/// alone; everything beneath it (a partition's disk, what a dm or md device is made from) is locked shared. So a disk
/// and its partition exclude each other in both directions while two partitions of one disk do not.
///
/// A VM whose process takes no descriptors has a lease instead, in /run/vmdev/leases. Whoever takes a device has its
/// locks first and looks at the leases then, and a lease is only written by who has the locks: so there is no moment
/// between the two, and a device is refused alike whichever kind of VM has it.
public struct LockFolder: Sendable {
    /// The folder, with its root.
    public let path: String
    let leases: LeaseFolder

    /// Uses /run/vmdev/locks and /run/vmdev/leases under the root.
    public init(root: Root) {
        path = root.path("/run/vmdev/locks")
        leases = LeaseFolder(path: root.path("/run/vmdev/leases"))
    }

    /// Why locks cannot be had.
    public enum Failure: Error, Equatable {
        /// These VMs have the device or a part of it; empty when the holder cannot be told.
        case taken([LockRecord])
        /// The folder or a file in it cannot be used.
        case system(SystemCallError)
    }

    /// Takes every lock of the device for the VM in `record`, at once or not at all.
    public func take(_ record: LockRecord) throws(Failure) -> [HeldLock] {
        try prepare()
        var held: [HeldLock] = []
        for (key, lock) in record.locks {
            do {
                let file = try open(key, [.readWrite, .create, .noFollow])
                guard try file.tryLock(lock) else {
                    let holders = try holders(of: record.canonical)
                    // A group that this VM has already is kept by the lock of its other device.
                    let isOurs = !holders.isEmpty && holders.allSatisfy { $0.vm == record.vm }
                    if isOurs && record.canonical.alone.contains(key) { continue }
                    throw Failure.taken(holders)
                }
                if key == record.file { try file.replaceContents(with: Array(record.text.utf8)) }
                held.append(HeldLock(name: HeldLock.name(of: record.id, key: key), descriptor: file))
            } catch let error as SystemCallError {
                throw .system(error)
            } catch let error as Failure {
                throw error
            } catch {
                throw .taken([])
            }
        }
        let leased = try leasedRecords().filter { $0.excludes(record) }
        guard leased.isEmpty else { throw .taken(leased) }
        return held
    }

    /// Who has the device, or something that excludes it, now.
    public func holders(of canonical: CanonicalDevice) throws(Failure) -> [LockRecord] {
        // The usual case, nobody, costs one look at the device's own file and those beneath it, not at all files.
        var isFree = true
        let wanted =
            ([canonical.key] + canonical.alone).map { ($0, Descriptor.Lock.exclusive) }
            + canonical.beneath.map { ($0, .shared) }
        for (key, lock) in wanted where try obstacle(key, to: lock) != .none { isFree = false }
        return try (isFree ? leasedRecords() : live()).filter { $0.canonical.conflicts(with: canonical) }
    }

    /// All attachments that live now, by class and device.
    public func live() throws(Failure) -> [LockRecord] {
        let locked: [LockRecord]
        do { locked = try names(in: path).compactMap(liveRecord) } catch let error as SystemCallError {
            guard error.isMissing else { throw .system(error) }
            locked = []
        } catch {
            locked = []
        }
        // While a lease is being written its device is locked as well.
        let leased = try leasedRecords().filter { !locked.contains($0) }
        return (locked + leased).sorted {
            ($0.device.deviceClass, $0.device.description) < ($1.device.deviceClass, $1.device.description)
        }
    }

    /// What is leased to processes that live.
    func leasedRecords() throws(Failure) -> [LockRecord] {
        do { return try leases.live().map(\.record) } catch { throw .system(error) }
    }

    private func liveRecord(_ key: String) throws(SystemCallError) -> LockRecord? {
        let file = try open(key, [.noFollow])
        // Where others only share the file, the text in it is of somebody who had it alone before.
        guard try file.obstacle(to: .shared) == .exclusive else { return nil }
        let record = try record(in: file)
        return record?.file == key ? record : nil
    }

    private func record(in file: Descriptor) throws(SystemCallError) -> LockRecord? {
        LockRecord(parsing: String(decoding: try file.readAll(limit: LockRecord.maximumSize), as: UTF8.self))
    }

    private func obstacle(_ key: String, to wanted: Descriptor.Lock) throws(Failure) -> Descriptor.Lock {
        do {
            return try open(key, [.noFollow]).obstacle(to: wanted)
        } catch {
            if error.isMissing { return .none }
            throw .system(error)
        }
    }

    private func open(_ key: String, _ options: Descriptor.Options) throws(SystemCallError) -> Descriptor {
        try Descriptor.open("\(path)/\(key)", options, mode: 0o600)
    }

    private func prepare() throws(Failure) {
        do { try makeFolders(path, permissions: 0o700) } catch { throw .system(error) }
    }
}

/// One lock that is held, and the name under which the VM's process is to hold it.
public struct HeldLock: Sendable {
    /// The name for the VM's process.
    public let name: String
    /// The open, locked file.
    public let descriptor: Descriptor

    /// The names under which a VM holds the locks of an attachment.
    public static func names(of record: LockRecord) -> [String] {
        record.locks.map { name(of: record.id, key: $0.key) }
    }

    static func name(of id: AttachmentID, key: String) -> String { "\(id).lock.\(key)" }
}
