internal import Devices
internal import Platform

/// The devices of one class on this host.
protocol HostClass: Sendable {
    /// All of them, in the order of their ports.
    func devices() throws(SourceError) -> [Device]

    /// For each reference enough of them to decide what it means, from one look.
    func candidates(for references: [DeviceReference]) throws(SourceError) -> [[Device]]

    /// What is known of a port in which there is no device.
    func absence(of port: Port) -> String?

    /// As in `DeviceSource`.
    func objection(to device: Device, options: DeviceOptions, together: [Device]) -> SourceError?

    /// As in `DeviceSource`.
    func claim(
        _ device: Device, for vm: VMName, readOnly: Bool, options: DeviceOptions
    ) throws(SourceError) -> Descriptor?

    /// As in `DeviceSource`.
    func giveBack(_ port: Port, from vm: VMName) throws(SourceError)

    /// As in `DeviceSource`.
    func giveBackAll(from vm: VMName) throws(SourceError) -> [DeviceReference]

    /// As in `DeviceSource`.
    func hasGone(_ sequence: UInt64, from port: Port) -> Bool
}

extension HostClass {
    /// All of them for each, from one look.
    func candidates(for references: [DeviceReference]) throws(SourceError) -> [[Device]] {
        let all = try devices()
        return references.map { _ in all }
    }

    /// Nothing.
    func absence(of port: Port) -> String? { nil }

    /// None.
    func objection(to device: Device, options: DeviceOptions, together: [Device]) -> SourceError? { nil }

    /// A claim that ends with its descriptor changes nothing that would have to be given back.
    func giveBack(_ port: Port, from vm: VMName) throws(SourceError) {}

    /// As above.
    func giveBackAll(from vm: VMName) throws(SourceError) -> [DeviceReference] { [] }

    /// Nothing is known of it.
    func hasGone(_ sequence: UInt64, from port: Port) -> Bool { false }
}
