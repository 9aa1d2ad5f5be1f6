package import Devices
import Glibc
package import HostDevices
package import Platform

/// A VM in memory that exposes devices: what it exports is exported as long as both sides keep the connection.
package final class FakeSourceVM: DeviceSource {
    package let name: VMName

    private struct Export: Sendable {
        let vm: VMName
        /// Where the VM looks for it.
        let place: String
        /// The source's end of the connection.
        let end: Descriptor
    }

    private struct State: Sendable {
        var isRunning = true
        var hasExporter = true
        var devices: [Device] = []
        var exports: [Devices.Port: Export] = [:]
        var plugs: UInt64 = 0
        var questions = 0
        /// What happens as soon as something is exported.
        var onExport: (@Sendable () -> Void)?
        /// What happens next, whenever it is asked in vain.
        var steps: [@Sendable (FakeSourceVM) -> Void] = []

        var live: [Devices.Port: Export] { exports.filter { !$0.value.end.isHungUp } }
    }

    private let state = Guarded(State())

    package init(_ name: String) throws { self.name = try VMName(name) }

    /// Plugs in a disk or a USB device, as the next thing that comes there. `minor` is what the kernel calls it by.
    package func plug(
        _ port: String, _ deviceClass: DeviceClass = .block, identity: String? = nil, minor: Int? = nil
    )
        throws
    {
        let port = try Devices.Port(port, of: deviceClass)
        let identities = try identity.map { [try DeviceIdentity($0)] } ?? []
        state.withLock { state in
            state.plugs += 1
            let number = Device.Number(major: 8, minor: UInt32(state.plugs))
            let details: Device.Details =
                deviceClass == .usb
                ? .usb(Device.USB(node: "", address: 0, number: number))
                : .block(
                    Device.Block(
                        node: "/dev/\(port)", number: number, sequence: state.plugs, size: 1 << 20,
                        isReadOnly: false,
                        serial: port.description, parent: nil))
            state.devices.append(
                Device(
                    deviceClass, source: name, port: port, identities: identities, title: "in \(port)",
                    canonical: CanonicalDevice(
                        key: "from:\(name):\(deviceClass)-\(minor.map(String.init) ?? port.description)"),
                    details: details))
        }
    }

    /// Pulls what is in the port out: its export ends.
    package func pull(_ port: String) {
        state.withLock { state in
            state.devices.removeAll { $0.port.description == port }
            state.exports = state.exports.filter { $0.key.description != port }
        }
    }

    /// Ends with all that was plugged into it.
    package func die() {
        state.withLock { state in
            state.isRunning = false
            state.exports = [:]
            state.devices = []
        }
    }

    /// Comes up, with nothing plugged in.
    package func start() { state.withLock { $0.isRunning = true } }

    /// Has an exporter that answers, or has none.
    package var hasExporter: Bool {
        get { state.withLock { $0.hasExporter } }
        set { state.withLock { $0.hasExporter = newValue } }
    }

    /// What happens while somebody waits for it, one thing for each time that he is to ask again.
    package func happens(_ steps: (@Sendable (FakeSourceVM) -> Void)...) { state.withLock { $0.steps = steps } }

    /// What happens as soon as something is exported.
    package func onExport(_ body: @escaping @Sendable () -> Void) { state.withLock { $0.onExport = body } }

    package func listen(for references: [DeviceReference]) throws(SourceError) -> (any DeviceEvents)? {
        do { return FakeClock(source: self, always: try Descriptor.open("/dev/null")) } catch {
            throw SourceError(.unreadable, "\(error)")
        }
    }

    fileprivate func tick() {
        let step = state.withLock { $0.steps.isEmpty ? nil : $0.steps.removeFirst() }
        step?(self)
    }

    /// Which ports are exported now.
    package var exported: [String] {
        state.withLock { state in state.live.keys.map(\.description).sorted() }
    }

    /// The same with the port under whose name each is served, where that is another.
    package var served: [String: String] {
        state.withLock { state in
            Dictionary(uniqueKeysWithValues: state.live.map { ($0.key.description, $0.value.place) })
        }
    }

    /// How often it was asked what there is.
    package var questions: Int { state.withLock { $0.questions } }

    package func devices(of deviceClass: DeviceClass) throws(SourceError) -> [Device] {
        let devices = state.withLock { state -> [Device]? in
            state.questions += 1
            guard state.isRunning, state.hasExporter else { return nil }
            let live = state.live
            return state.devices.filter { $0.deviceClass == deviceClass }.sorted { $0.port < $1.port }.map {
                device in
                live[device.port].map { device.used(by: $0.vm) } ?? device
            }
        }
        guard let devices else {
            throw state.withLock({ $0.isRunning })
                ? SourceError(.silent, "source VM \(name) runs, but its exporter does not answer")
                : SourceError(.notRunning, "source VM \(name) is not running")
        }
        return devices
    }

    package func candidates(for reference: DeviceReference) throws(SourceError) -> [Device] {
        try devices(of: reference.deviceClass)
    }

    package func candidates(for references: [DeviceReference]) throws(SourceError) -> [[Device]] {
        var known: [DeviceClass: [Device]] = [:]
        for deviceClass in Set(references.map(\.deviceClass)) { known[deviceClass] = try devices(of: deviceClass) }
        return references.map { known[$0.deviceClass] ?? [] }
    }

    package func access(
        to device: Device, for vm: VMName, readOnly: Bool, options: DeviceOptions
    ) throws(SourceError) -> DeviceAccess {
        try access(to: device, for: vm, readOnly: readOnly, options: options, as: device.port)
    }

    package func access(
        to device: Device, for vm: VMName, readOnly: Bool, options: DeviceOptions, as place: Devices.Port
    ) throws(SourceError) -> DeviceAccess {
        var ends: [Int32] = [-1, -1]
        guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue) | 0o2_000_000, 0, &ends) == 0 else {
            throw SourceError(.unreadable, "no pair of sockets")
        }
        let theirs = Descriptor(owning: ends[1])
        let export = Export(vm: vm, place: place.description, end: Descriptor(owning: ends[0]))
        let isTaken = state.withLock { state in
            if state.live.contains(where: { $0.key == device.port || $0.value.place == export.place }) {
                return true
            }
            state.exports[device.port] = export
            return false
        }
        if isTaken { throw SourceError(.exported, "\(device.port) is exported already") }
        state.withLock { $0.onExport }?()
        return device.deviceClass == .usb
            ? .usbStream(theirs)
            : .networkDisk(at: .unix(path: "/run/none"), export: place.description, lease: theirs)
    }

    package func claim(
        _ device: Device, for vm: VMName, readOnly: Bool, options: DeviceOptions
    ) throws(SourceError) -> Descriptor? { nil }

    package func giveBack(_ port: Devices.Port, of deviceClass: DeviceClass, from vm: VMName) throws(SourceError) {}

    package func giveBackAll(from vm: VMName) throws(SourceError) -> [DeviceReference] { [] }

    package func absence(of port: Devices.Port, in deviceClass: DeviceClass) -> String? { nil }
}

/// It is time to ask again at once.
private struct FakeClock: DeviceEvents {
    let source: FakeSourceVM
    let always: Descriptor

    var descriptor: Int32 { always.raw }

    func take() throws(SourceError) -> Bool {
        source.tick()
        return true
    }
}

extension Device {
    fileprivate func used(by vm: VMName) -> Device {
        Device(
            deviceClass, source: source, port: port, identities: identities, title: title, canonical: canonical,
            uses: [.exported(vm)], details: details)
    }
}
