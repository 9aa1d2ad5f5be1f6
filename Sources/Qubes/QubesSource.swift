public import Devices
public import HostDevices
public import Hypervisors
public import Platform

/// The devices that a VM of Qubes OS exposes, dom0 included, as qubesd tells them.
///
/// qubesd gives them to VMs itself: nothing is claimed here. It follows no device to another port, whatever is assigned.
public struct QubesSource: DeviceSource {
    /// Its name.
    public let name: VMName
    let admin: QubesAdmin

    /// What `name` exposes, by the word of `admin`.
    public init(_ name: VMName, admin: QubesAdmin) {
        self.name = name
        self.admin = admin
    }

    /// All of a class, in the order of their ports.
    public func devices(of deviceClass: DeviceClass) throws(SourceError) -> [Device] {
        try exposed([deviceClass]).flatMap { $0 }
    }

    /// All of the class.
    public func candidates(for reference: DeviceReference) throws(SourceError) -> [Device] {
        try devices(of: reference.deviceClass)
    }

    /// All classes are asked for in one turn.
    public func candidates(for references: [DeviceReference]) throws(SourceError) -> [[Device]] {
        let classes = Set(references.map(\.deviceClass)).sorted()
        let found = Dictionary(
            zip(classes, try exposed(classes)), uniquingKeysWith: { first, _ in first })
        return references.map { found[$0.deviceClass] ?? [] }
    }

    /// qubesd claims it when it attaches it.
    public func claim(
        _ device: Device, for vm: VMName, readOnly: Bool, options: DeviceOptions
    ) throws(SourceError) -> Descriptor? { nil }

    /// qubesd does it when the VM ends.
    public func giveBack(_ port: Port, of deviceClass: DeviceClass, from vm: VMName) throws(SourceError) {}

    /// As above.
    public func giveBackAll(from vm: VMName) throws(SourceError) -> [DeviceReference] { [] }

    /// A device that describes itself in words that are not understood is there, and cannot be told from another.
    public func absence(of port: Port, in deviceClass: DeviceClass) -> String? {
        guard let list = try? admin.available([(name, deviceClass)]).first?.get() else { return nil }
        let fault = list.faults.first { fault in
            let place = fault.head.prefix { $0 != ":" }
            return (try? Port(place, of: deviceClass)) == port
        }
        return fault.map { "qubesd tells of \(name):\(port) what is not understood: \($0.error)" }
    }

    private func exposed(_ classes: [DeviceClass]) throws(SourceError) -> [[Device]] {
        let exposed: QubesAdmin.Exposed
        do { exposed = try admin.exposed(by: name, classes) } catch { throw SourceError(error) }
        guard let domain = exposed.domain else {
            throw SourceError(
                .unknown, "there is no VM \(name)",
                remedy: "'qvm-ls' shows those that there are; correct the assignment, or remove it.")
        }
        guard domain.isRunning else {
            throw SourceError(
                .notRunning, "source VM \(name) is not running (\(domain.state.lowercased()))",
                remedy: "Start it: qvm-start \(name). It has to come up before the VMs that get its devices.")
        }
        var found: [[Device]] = []
        for list in exposed.lists {
            do { found.append(try list.get().rows.map(\.device).sorted { $0.port < $1.port }) } catch {
                throw SourceError(error)
            }
        }
        return found
    }
}

extension SourceError {
    /// What came of asking qubesd.
    public init(_ error: QubesError) {
        let kind: Kind =
            switch error.kind {
            case .unreachable: .unreachable
            case .forbidden, .exception("PermissionDenied"): .forbidden
            case .notUnderstood: .notUnderstood
            case .noAnswer, .exception, .refused, .unsupported: .unreadable
            }
        self.init(kind, error.message, remedy: error.remedy)
    }
}
