public import Devices
public import Platform

/// The devices of this host.
public struct HostSource: DeviceSource {
    private let classes: [DeviceClass: any HostClass]
    private let root: Root

    /// The devices of the host at `root`.
    public init(root: Root) { self.init(root: root, patience: .milliseconds(500)) }

    /// `patience` is how long a claim waits for one who has the device for no reason that is known.
    init(root: Root, patience: Duration) {
        self.root = root
        classes = [
            .block: HostBlockDevices(root: root, patience: patience),
            .usb: HostUSBDevices(root: root, patience: patience),
            .pci: HostPCIDevices(root: root, limit: .seconds(10)),
            .mic: HostMicrophones(root: root),
        ]
    }

    /// `dom0`.
    public var name: VMName { .host }

    /// All devices of a class, in the order of their ports.
    public func devices(of deviceClass: DeviceClass) throws(SourceError) -> [Device] {
        try classes[deviceClass]?.devices() ?? []
    }

    /// The device in the port, when there is one and nothing is said of another; else all.
    public func candidates(for reference: DeviceReference) throws(SourceError) -> [Device] {
        try candidates(for: [reference]).first ?? []
    }

    /// Each class is looked at once.
    public func candidates(for references: [DeviceReference]) throws(SourceError) -> [[Device]] {
        var found = references.map { _ in [Device]() }
        for (deviceClass, inventory) in classes {
            let indices = references.indices.filter {
                references[$0].deviceClass == deviceClass && references[$0].source == name
            }
            guard !indices.isEmpty else { continue }
            let answers = try inventory.candidates(for: indices.map { references[$0] })
            for (index, answer) in zip(indices, answers) { found[index] = answer }
        }
        return found
    }

    /// What udev says of the subsystems of these devices; nothing where it does not run.
    public func listen(for references: [DeviceReference]) throws(SourceError) -> (any DeviceEvents)? {
        guard let udev = UdevDatabase(root: root), !references.isEmpty else { return nil }
        do { return try udev.listen(to: Set(references.map { subsystem(of: $0.deviceClass) })) } catch {
            throw SourceError(error)
        }
    }

    private func subsystem(of deviceClass: DeviceClass) -> String {
        switch deviceClass {
        case .block: "block"
        case .usb: "usb"
        case .pci: "pci"
        case .mic: "sound"
        }
    }

    /// What is known of a port in which there is no device.
    public func absence(of port: Port, in deviceClass: DeviceClass) -> String? {
        classes[deviceClass]?.absence(of: port)
    }

    /// By the port's class.
    public func hasGone(_ sequence: UInt64, from port: Port, of deviceClass: DeviceClass) -> Bool {
        classes[deviceClass]?.hasGone(sequence, from: port) ?? false
    }

    /// By the device's class.
    public func objection(to device: Device, options: DeviceOptions, together: [Device]) -> SourceError? {
        classes[device.deviceClass]?.objection(to: device, options: options, together: together)
    }

    /// By the device's class.
    public func claim(
        _ device: Device, for vm: VMName, readOnly: Bool, options: DeviceOptions
    ) throws(SourceError) -> Descriptor? {
        guard device.source == name, let inventory = classes[device.deviceClass] else {
            throw SourceError(
                .unreadable, "\(device.name) is not a \(device.deviceClass) device that this host gives")
        }
        return try inventory.claim(device, for: vm, readOnly: readOnly, options: options)
    }

    /// By the port's class.
    public func giveBack(_ port: Port, of deviceClass: DeviceClass, from vm: VMName) throws(SourceError) {
        try classes[deviceClass]?.giveBack(port, from: vm)
    }

    /// Of all classes; one that fails does not keep the others.
    public func giveBackAll(from vm: VMName) throws(SourceError) -> [DeviceReference] {
        var given: [DeviceReference] = []
        var failure: SourceError?
        for inventory in classes.values {
            do throws(SourceError) { given += try inventory.giveBackAll(from: vm) } catch {
                failure = failure ?? error
            }
        }
        if let failure { throw failure }
        return given
    }
}
