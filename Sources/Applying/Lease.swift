internal import Devices
internal import Hypervisors
internal import Platform

/// What a VM has whose process takes no locks from us, and which process that is.
struct Lease: Hashable {
    let record: LockRecord
    let holder: LeaseHolder

    /// Its file's name: no VM's name has a colon.
    var file: String { Lease.file(record) }

    static func file(_ record: LockRecord) -> String { prefix(record.vm) + record.id.description }

    static func prefix(_ vm: VMName) -> String { "\(vm):" }

    /// The record's lines, then the holder's.
    var text: String { record.text + "domain=\(printable(holder.domain))\nprocess=\(holder.process)\n" }

    init(record: LockRecord, holder: LeaseHolder) {
        self.record = record
        self.holder = holder
    }

    /// Reads a lease back; nil when it is not one of ours.
    init?(parsing text: String) {
        guard let record = LockRecord(parsing: text) else { return nil }
        let lines = text.split(separator: "\n")
        func value(of key: String) -> String? {
            lines.last { $0.hasPrefix("\(key)=") }.map { String($0.dropFirst(key.utf8.count + 1)) }
        }
        guard let domain = value(of: "domain"), let process = value(of: "process").flatMap(ProcessIdentity.init(_:))
        else { return nil }
        self.init(record: record, holder: LeaseHolder(domain: domain, process: process))
    }
}

/// The leases, a file each. One whose process has ended is void, whatever its file says, and is written over.
struct LeaseFolder: Sendable {
    let path: String

    /// The leases of processes that live.
    func live() throws(SystemCallError) -> [Lease] {
        let files: [String]
        do { files = try names(in: path) } catch {
            if error.isMissing { return [] }
            throw error
        }
        var leases: [Lease] = []
        for file in files {
            guard let lease = try read(file), lease.file == file, lease.holder.process.isAlive else { continue }
            leases.append(lease)
        }
        return leases
    }

    /// Nil when there is none, which may have ended just now, or when it is none of ours.
    private func read(_ file: String) throws(SystemCallError) -> Lease? {
        let bytes: [UInt8]
        do {
            bytes = try Descriptor.open("\(path)/\(file)", [.noFollow]).readAll(limit: Lease.maximumSize)
        } catch {
            if error.isMissing { return nil }
            throw error
        }
        return Lease(parsing: String(decoding: bytes, as: UTF8.self))
    }

    /// Writes a lease; only who has the locks of its device may.
    func grant(_ lease: Lease) throws(SystemCallError) {
        try makeFolders(path, permissions: 0o700)
        let folder = try Descriptor.open(path, .directory)
        // The old file or the new one: a half written one would be nobody's.
        var file = try AtomicReplacement.begin(
            of: lease.file, in: folder, temporary: ".\(lease.file)", like: nil, permissions: 0o600)
        try file.write(Array(lease.text.utf8))
        _ = try file.commit(ifStill: try folder.status(below: lease.file))
    }

    /// Ends a lease; one that is not there is no error, nor one for the same attachment of a device that is elsewhere by now.
    func end(_ record: LockRecord) throws(SystemCallError) {
        if let lease = try read(Lease.file(record)), lease.record.canonical != record.canonical { return }
        do { try Descriptor.open(path, .directory).remove(below: Lease.file(record)) } catch {
            guard error.isMissing else { throw error }
        }
    }

    /// Removes the VM's void leases; answers whether it has no other.
    func forget(_ vm: VMName) -> Bool {
        guard let folder = try? Descriptor.open(path, .directory), let files = try? names(in: path) else {
            return true
        }
        let mine = files.filter { $0.hasPrefix(Lease.prefix(vm)) }
        guard !mine.isEmpty else { return true }
        guard let alive = try? live() else { return false }
        let kept = Set(alive.map(\.file))
        for file in mine where !kept.contains(file) { try? folder.remove(below: file) }
        return kept.isDisjoint(with: mine)
    }
}

extension Lease {
    /// The longest text of a lease, in bytes.
    static let maximumSize = LockRecord.maximumSize + 512
}
