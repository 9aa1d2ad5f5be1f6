import Applying
import Assignments
import Devices
import Foundation
import HostDevices
import Hypervisors
import Platform
import Synchronization

/// A host in memory: devices, a table and a simulated hypervisor; only the locks are real files.
final class FakeHost: Sendable {
    let source = FakeSource()
    let store = FakeStore()
    let simulator = Simulator()
    let reporter = Recorder()
    let root: Root

    init() throws {
        let path = "/tmp/vmdev-applying-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        root = Root(path)
    }

    deinit { try? FileManager.default.removeItem(atPath: root.prefix) }

    var applier: Applier {
        Applier(
            store: store, sources: [source], hypervisor: simulator, root: root, reporter: reporter,
            timeout: .seconds(5))
    }

    var locks: LockFolder { LockFolder(root: root) }

    /// Applies the rows to a VM; returns the status.
    func apply(_ vm: String, on occasion: Applier.Occasion = .boot, _ rows: String...) throws -> Sysexit {
        store.set(try rows.map(row))
        return applier.apply(to: try VMName(vm), on: occasion)
    }
}

/// `work dom0:sda required read-only=yes` as an assignment of class block.
func row(_ text: String) throws -> Assignment {
    let fields = text.split(separator: " ").map(String.init)
    let options = try fields.dropFirst(3).map { try DeviceOptions.pair(parsing: $0) }
    return try Assignment(
        target: VMName(fields[0]), device: DeviceReference(parsing: fields[1], of: .block),
        mode: AssignmentMode(parsing: fields[2]), options: DeviceOptions(options, of: .block))
}

/// A disk `port`, with an identity and what it is a part of.
func disk(
    _ port: String, identity: String? = nil, on beneath: [String] = [], uses: [Device.Use] = [],
    readOnly: Bool = false, sequence: UInt64 = 1
) throws -> Device {
    Device(
        .block, source: .host, port: try Devices.Port(port, of: .block),
        identities: try identity.map { [try DeviceIdentity($0)] } ?? [], title: "disk \(port)",
        canonical: CanonicalDevice(key: "block-\(port)", beneath: beneath.map { "block-\($0)" }), uses: uses,
        details: .block(
            Device.Block(
                node: "/dev/\(port)", number: Device.Number(major: 8, minor: 0), sequence: sequence, size: 1 << 20,
                isReadOnly: readOnly, serial: port, parent: nil)))
}

/// The host's devices, as a test sets them.
final class FakeSource: DeviceSource {
    let name = VMName.host
    private let state = Mutex<(devices: [Device], claims: [Devices.Port: SourceError])>(([], [:]))

    func set(_ devices: [Device]) { state.withLock { $0.devices = devices } }

    /// Claiming what is in that port fails.
    func refuseClaim(_ port: String, _ error: SourceError) throws {
        let port = try Devices.Port(port, of: .block)
        state.withLock { $0.claims[port] = error }
    }

    func devices(of deviceClass: DeviceClass) throws(SourceError) -> [Device] {
        state.withLock { $0.devices }.filter { $0.deviceClass == deviceClass }
    }

    func candidates(for reference: DeviceReference) throws(SourceError) -> [Device] {
        try devices(of: reference.deviceClass)
    }

    func claim(_ device: Device, readOnly: Bool) throws(SourceError) -> Descriptor {
        if let error = state.withLock({ $0.claims[device.port] }) { throw error }
        do { return try Descriptor.open("/dev/null") } catch { throw SourceError(.unreadable, "\(error)") }
    }

    func absence(of port: Devices.Port, in deviceClass: DeviceClass) -> String? { nil }
}

/// A table in memory.
final class FakeStore: AssignmentStore {
    private let reading = Mutex(TableReading())

    func set(_ assignments: [Assignment]) {
        reading.withLock { reading in
            reading = TableReading(rows: assignments.enumerated().map { TableRow($1, line: $0 + 1) })
        }
    }

    func assignments(of vm: VMName) throws(TableError) -> TableReading {
        let all = reading.withLock { $0 }
        return TableReading(rows: all.rows.filter { $0.assignment.target == vm }, problems: all.problems)
    }

    func allAssignments() throws(TableError) -> TableReading { reading.withLock { $0 } }

    func add(_ assignment: Assignment) throws(TableError) -> AddOutcome {
        reading.withLock { $0.rows.append(TableRow(assignment, line: $0.rows.count + 1)) }
        return .added
    }

    func remove(where isUnwanted: (Assignment) -> Bool) throws(TableError) -> [Assignment] {
        reading.withLock { reading in
            let removed = reading.rows.map(\.assignment).filter(isUnwanted)
            reading.rows.removeAll { removed.contains($0.assignment) }
            return removed
        }
    }
}

/// Remembers what was told.
final class Recorder: Reporter {
    private let told = Mutex<[Outcome]>([])

    func report(_ outcome: Outcome) { told.withLock { $0.append(outcome) } }
    func progress(_ text: String) {}

    var outcomes: [Outcome] { told.withLock { $0 } }
    var kinds: [Outcome.Kind] { outcomes.map(\.kind) }
    var reasons: [Reason] { outcomes.compactMap(\.reason) }
    func texts(_ kind: Outcome.Kind) -> [String] { outcomes.filter { $0.kind == kind }.map(\.message) }
}
