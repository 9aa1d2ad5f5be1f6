package import Applying
package import Assignments
package import Devices
import Foundation
package import HostDevices
package import Hypervisors
package import Platform

/// A host in memory: devices, a table and a simulated hypervisor; only the locks are real files.
package final class FakeHost: Sendable {
    package let source = FakeSource()
    /// A VM that exposes devices beside it.
    package let usbVM: FakeSourceVM
    package let store = FakeStore()
    package let simulator = Simulator()
    package let reporter = Recorder()
    package let root: Root

    package init() throws {
        let path = "/tmp/vmdev-applying-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        root = Root(path)
        usbVM = try FakeSourceVM("usbvm")
    }

    deinit { try? FileManager.default.removeItem(atPath: root.prefix) }

    package var applier: Applier {
        Applier(
            store: store, sources: [source, usbVM], hypervisor: simulator, root: root, reporter: reporter,
            timeout: timeout, standardWait: { self.standardWait })
    }

    /// How long a VM may take for an answer, and to appear.
    package var timeout: Duration {
        get { limit.withLock { $0 } }
        set { limit.withLock { $0 = newValue } }
    }
    private let limit = Guarded(Duration.seconds(5))

    /// How long a start waits for devices whose assignment does not say it.
    package var standardWait: Duration {
        get { wait.withLock { $0 } }
        set { wait.withLock { $0 = newValue } }
    }
    private let wait = Guarded(Duration.zero)

    package var locks: LockFolder { LockFolder(root: root) }

    /// Applies the rows to a VM; returns the status.
    package func apply(_ vm: String, on occasion: Applier.Occasion = .boot, _ rows: String...) throws -> Sysexit {
        store.set(try rows.map(row))
        return applier.apply(to: try VMName(vm), on: occasion)
    }
}

/// `work dom0:sda required read-only=yes` as an assignment of class block.
package func row(_ text: String) throws -> Assignment { try row(text, .block) }

/// The same for another class.
package func row(_ text: String, _ deviceClass: DeviceClass) throws -> Assignment {
    let fields = text.split(separator: " ").map(String.init)
    let options = try fields.dropFirst(3).map { try DeviceOptions.pair(parsing: $0) }
    return try Assignment(
        target: VMName(fields[0]), device: DeviceReference(parsing: fields[1], of: deviceClass),
        mode: AssignmentMode(parsing: fields[2]), options: DeviceOptions(options, of: deviceClass))
}

/// A disk `port`, with an identity and what it is a part of.
package func disk(
    _ port: String, identity: String? = nil, on beneath: [String] = [], uses: [Device.Use] = [],
    readOnly: Bool = false, sequence: UInt64 = 1, minor: UInt32 = 0
) throws -> Device {
    Device(
        .block, source: .host, port: try Devices.Port(port, of: .block),
        identities: try identity.map { [try DeviceIdentity($0)] } ?? [], title: "disk \(port)",
        canonical: CanonicalDevice(key: "block-\(port)", beneath: beneath.map { "block-\($0)" }), uses: uses,
        details: .block(
            Device.Block(
                node: "/dev/\(port)", number: Device.Number(major: 8, minor: minor), sequence: sequence,
                size: 1 << 20,
                isReadOnly: readOnly, serial: port, parent: nil)))
}

/// The host's devices, as a test sets them.
package final class FakeSource: DeviceSource {
    package let name = VMName.host
    private let state = Guarded<
        (devices: [Device], claims: [Devices.Port: SourceError], givenBack: [Devices.Port])
    >(
        ([], [:], []))
    private let objections = Guarded<[Devices.Port: (error: SourceError, unlessWith: Devices.Port?)]>([:])

    private let news = Guarded<[@Sendable (FakeSource) -> Void]?>(nil)

    /// What is heard while a start waits, one after the other and at once: each may change what there is. Until this is
    /// called, nothing is ever heard, as where udev does not run.
    package func hears(_ steps: (@Sendable (FakeSource) -> Void)...) { news.withLock { $0 = steps } }

    package func listen(for references: [DeviceReference]) throws(SourceError) -> (any DeviceEvents)? {
        guard news.withLock({ $0 != nil }) else { return nil }
        do { return try FakeEvents(source: self) } catch { throw SourceError(.unreadable, "\(error)") }
    }

    /// The next thing that is heard happens; answers whether there was one.
    fileprivate func hearNext() -> Bool {
        let step = news.withLock { steps in steps?.isEmpty == false ? steps?.removeFirst() : nil }
        step?(self)
        return step != nil
    }

    /// Whether everything that there was to hear has been heard.
    package var isHeardOut: Bool { news.withLock { $0?.isEmpty ?? true } }

    /// What is in that port cannot be given, unless the VM gets the other as well.
    package func object(to port: String, _ error: SourceError, unlessWith other: String? = nil) throws {
        let (port, other) = (
            try Devices.Port(port, of: .block), try other.map { try Devices.Port($0, of: .block) }
        )
        objections.withLock { $0[port] = (error, other) }
    }

    package func objection(to device: Device, options: DeviceOptions, together: [Device]) -> SourceError? {
        guard let (error, other) = objections.withLock({ $0[device.port] }) else { return nil }
        return together.contains { $0.port == other } ? nil : error
    }

    private let gone = Guarded<Set<UInt64>>([])

    /// What was there with that sequence number has been plugged out.
    package func setGone(_ sequence: UInt64) { _ = gone.withLock { $0.insert(sequence) } }

    package func hasGone(_ sequence: UInt64, from port: Devices.Port, of deviceClass: DeviceClass) -> Bool {
        gone.withLock { $0.contains(sequence) }
    }

    package func set(_ devices: [Device]) { state.withLock { $0.devices = devices } }

    /// Claiming what is in that port fails.
    package func refuseClaim(_ port: String, _ error: SourceError) throws {
        let port = try Devices.Port(port, of: .block)
        state.withLock { $0.claims[port] = error }
    }

    /// What happens as soon as something is claimed.
    package func onClaim(_ body: @escaping @Sendable () -> Void) { claimed.withLock { $0 = body } }
    private let claimed = Guarded<(@Sendable () -> Void)?>(nil)

    package func devices(of deviceClass: DeviceClass) throws(SourceError) -> [Device] {
        state.withLock { $0.devices }.filter { $0.deviceClass == deviceClass }
    }

    package func candidates(for reference: DeviceReference) throws(SourceError) -> [Device] {
        try devices(of: reference.deviceClass)
    }

    package func claim(
        _ device: Device, for vm: VMName, readOnly: Bool, options: DeviceOptions
    ) throws(SourceError) -> Descriptor? {
        if let error = state.withLock({ $0.claims[device.port] }) { throw error }
        claimed.withLock { $0 }?()
        do { return try Descriptor.open("/dev/null") } catch { throw SourceError(.unreadable, "\(error)") }
    }

    package func giveBack(_ port: Devices.Port, of deviceClass: DeviceClass, from vm: VMName) throws(SourceError) {
        state.withLock { $0.givenBack.append(port) }
    }

    package func giveBackAll(from vm: VMName) throws(SourceError) -> [DeviceReference] { [] }

    /// The ports that were given back, in order.
    package var givenBack: [Devices.Port] { state.withLock { $0.givenBack } }

    package func absence(of port: Devices.Port, in deviceClass: DeviceClass) -> String? { nil }
}

/// What is scripted, each thing as soon as somebody waits for it.
private struct FakeEvents: DeviceEvents {
    let source: FakeSource
    /// A file can always be read; an empty pipe never while both ends are open.
    private let always: Descriptor
    private let never: Descriptor

    init(source: FakeSource) throws {
        self.source = source
        always = try Descriptor.open("/dev/null")
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { throw SourceError(.unreadable, "no pipe") }
        never = Descriptor(owning: ends[0], keeping: [Descriptor(owning: ends[1])])
    }

    var descriptor: Int32 { source.isHeardOut ? never.raw : always.raw }

    func take() throws(SourceError) -> Bool { source.hearNext() }
}

/// A table in memory.
package final class FakeStore: AssignmentStore {
    private let reading = Guarded(TableReading())

    package init() {}

    package func set(_ assignments: [Assignment]) {
        reading.withLock { reading in
            reading = TableReading(rows: assignments.enumerated().map { TableRow($1, line: $0 + 1) })
        }
    }

    package func assignments(of vm: VMName) throws(TableError) -> TableReading {
        let all = reading.withLock { $0 }
        return TableReading(rows: all.rows.filter { $0.assignment.target == vm }, problems: all.problems)
    }

    package func allAssignments() throws(TableError) -> TableReading { reading.withLock { $0 } }

    package func add(_ assignment: Assignment) throws(TableError) -> AddOutcome {
        reading.withLock { $0.rows.append(TableRow(assignment, line: $0.rows.count + 1)) }
        return .added
    }

    package func remove(where isUnwanted: (Assignment) -> Bool) throws(TableError) -> [Assignment] {
        reading.withLock { reading in
            let removed = reading.rows.map(\.assignment).filter(isUnwanted)
            reading.rows.removeAll { removed.contains($0.assignment) }
            return removed
        }
    }
}

/// Remembers what was told.
package final class Recorder: Reporter {
    package init() {}

    private let told = Guarded<[Outcome]>([])

    private let states = Guarded<[String]>([])

    package func report(_ outcome: Outcome) { told.withLock { $0.append(outcome) } }
    package func progress(_ text: String) { states.withLock { $0.append(text) } }

    /// What the service manager was told, in order.
    package var progress: [String] { states.withLock { $0 } }

    /// What was told until now is none of the test's business.
    package func forget() { told.withLock { $0 = [] } }

    package var outcomes: [Outcome] { told.withLock { $0 } }
    package var kinds: [Outcome.Kind] { outcomes.map(\.kind) }
    package var reasons: [Reason] { outcomes.compactMap(\.reason) }
    package func texts(_ kind: Outcome.Kind) -> [String] { outcomes.filter { $0.kind == kind }.map(\.message) }
}
