internal import Devices
internal import Glibc
internal import Platform

/// Which driver a PCI function had before a VM got it: a line in /run/vmdev/drivers, written before anything changes.
struct SavedDriver: Equatable {
    /// The VM for which it was taken from its driver.
    var vm: VMName
    /// The driver; nil when it had none.
    var driver: String?
    /// What was in `driver_override`; nil when nothing was.
    var override: String?
    /// Whether the VM has given it back, and it only waits for others of its IOMMU group.
    var isWaiting = false

    /// The folder, below a root.
    static let folder = "/run/vmdev/drivers"

    /// The line: `vm=work driver=e1000e override=- state=held`.
    var text: String {
        "vm=\(vm) driver=\(driver ?? "-") override=\(override ?? "-") state=\(isWaiting ? "waiting" : "held")\n"
    }

    /// Joins what is known.
    init(vm: VMName, driver: String?, override: String?) {
        self.vm = vm
        self.driver = driver
        self.override = override
    }

    /// Reads the line; nil for one that is not whole.
    init?(parsing text: String) {
        var fields: [Substring: String] = [:]
        for field in text.split(whereSeparator: \.isWhitespace) {
            guard let equals = field.firstIndex(of: "=") else { return nil }
            fields[field[..<equals]] = String(field[field.index(after: equals)...])
        }
        guard text.hasSuffix("\n"), let vm = fields["vm"].flatMap({ try? VMName($0) }),
            let driver = fields["driver"], let override = fields["override"],
            !driver.contains("/"), !override.contains("/")
        else { return nil }
        self.init(vm: vm, driver: driver == "-" ? nil : driver, override: override == "-" ? nil : override)
        isWaiting = fields["state"] == "waiting"
    }

    /// What was saved for a function; nil when nothing was.
    static func load(_ address: String, root: Root) throws(SystemCallError) -> SavedDriver? {
        let path = root.path("\(folder)/\(address)")
        let bytes: [UInt8]
        do { bytes = try contents(of: path, limit: 4096) } catch {
            if error.isMissing { return nil }
            throw error
        }
        guard let saved = SavedDriver(parsing: String(decoding: bytes, as: UTF8.self)) else {
            throw SystemCallError("understand", path, code: EINVAL)
        }
        return saved
    }

    /// The addresses for which something is saved.
    static func addresses(root: Root) throws(SystemCallError) -> [String] {
        do {
            return try names(in: root.path(folder)).filter(isPCIAddress)
        } catch {
            if error.isMissing { return [] }
            throw error
        }
    }

    /// Writes it to the disk in one step: after a crash at any moment there is the old line or this one.
    func save(_ address: String, root: Root) throws(SystemCallError) {
        let path = root.path(SavedDriver.folder)
        try makeFolders(path, permissions: 0o700)
        let folder = try Descriptor.open(path, [.directory])
        let original = try folder.status(below: address)
        // Nobody else writes here: who has the lock of the device is alone.
        var replacement = try AtomicReplacement.begin(
            of: address, in: folder, temporary: ".\(address)", like: original, permissions: 0o600)
        try replacement.write(Array(text.utf8))
        guard try replacement.commit(ifStill: original) else {
            throw SystemCallError("replace", "\(path)/\(address)", code: EAGAIN)
        }
    }

    /// Forgets what was saved for a function.
    static func remove(_ address: String, root: Root) throws(SystemCallError) {
        do {
            try Descriptor.open(root.path(folder), [.directory]).remove(below: address)
        } catch {
            guard error.isMissing else { throw error }
        }
    }
}
