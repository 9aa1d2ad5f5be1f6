public import Devices
public import Hypervisors
internal import Platform

/// What a lock file says of its holder, so that nobody has to ask a monitor who has a device.
public struct LockRecord: Hashable, Sendable {
    /// The VM that has the device.
    public let vm: VMName
    /// Which device, by port and identity as it was when it was attached.
    public let device: DeviceReference
    /// Under which name the VM knows it.
    public let id: AttachmentID
    /// How it was attached.
    public let options: DeviceOptions
    /// What was locked.
    public let canonical: CanonicalDevice

    /// The device's sequence number, so that another one that came to the same place is not taken for it.
    public let sequence: UInt64?

    /// The port under whose name the VM looks for a disk of another VM, when that is called otherwise by now.
    public let servedAs: Port?

    /// Describes a holder.
    public init(
        vm: VMName, device: DeviceReference, id: AttachmentID, options: DeviceOptions, canonical: CanonicalDevice,
        sequence: UInt64?, servedAs: Port? = nil
    ) {
        self.vm = vm
        self.device = device
        self.id = id
        self.options = options
        self.canonical = canonical
        self.sequence = sequence
        self.servedAs = servedAs
    }

    /// Whether a device is in the place of the one that this speaks of.
    func isPlace(of other: Device) -> Bool { canonical.key == other.canonical.key }

    /// Whether a device has the identity of the one that this speaks of; one without is certainly none.
    func isIdentity(of other: Device) -> Bool { device.identity.map(other.identities.contains) ?? false }

    /// Whether the source of the device says that it is there, and exported to the VM still.
    func isExported(among devices: [Device]) -> Bool {
        devices.contains { isPlace(of: $0) && $0.uses.contains(.exported(vm)) }
    }

    /// Whether both speak of one and the same device, however it is called.
    func isSameDevice(as other: LockRecord) -> Bool {
        canonical == other.canonical && sequence == other.sequence
    }

    /// Whether the holder of this one keeps the other from being taken. A VM may have several devices of one group, and
    /// several VMs one device that can be shared.
    func excludes(_ other: LockRecord) -> Bool {
        if vm == other.vm { return canonical.overlaps(other.canonical) }
        if device.deviceClass.isShareable && other.device.deviceClass.isShareable { return false }
        return canonical.conflicts(with: other.canonical)
    }

    /// The lock file that has the text: the device's own, or, for a device that VMs may share, one of this VM.
    var file: String { device.deviceClass.isShareable ? "\(canonical.key).of.\(vm)" : canonical.key }

    /// What is locked and how, in the order in which every transaction does it.
    var locks: [(key: String, lock: Descriptor.Lock)] {
        let shared = canonical.beneath + (device.deviceClass.isShareable ? [canonical.key] : [])
        let exclusive = canonical.alone + [file]
        return (shared.map { ($0, .shared) } + exclusive.map { ($0, .exclusive) }).sorted { $0.key < $1.key }
    }

    /// The longest text of a record, in bytes.
    static let maximumSize = 16_384

    /// A line a field; no value can hold a line break.
    var text: String {
        var lines = [
            "vm=\(vm)", "class=\(device.deviceClass)", "device=\(device)", "id=\(id)", "key=\(canonical.key)",
        ]
        if let sequence { lines.append("sequence=\(sequence)") }
        if let servedAs { lines.append("served-as=\(servedAs)") }
        lines += canonical.alone.map { "alone=\($0)" }
        lines += canonical.beneath.map { "beneath=\($0)" }
        lines += options.entries.map { "option=\($0.key)=\($0.value)" }
        return lines.joined(separator: "\n") + "\n"
    }

    /// Reads a record back; nil when it is not one of ours, or only half written.
    init?(parsing text: String) {
        var fields: [String: String] = [:]
        var alone: [String] = []
        var beneath: [String] = []
        var options: [(key: String, value: String)] = []
        guard text.hasSuffix("\n") else { return nil }
        for line in text.split(separator: "\n") {
            guard let (key, value) = try? DeviceOptions.pair(parsing: line) else { return nil }
            switch key {
            case "alone": alone.append(value)
            case "beneath": beneath.append(value)
            case "option":
                guard let option = try? DeviceOptions.pair(parsing: value) else { return nil }
                options.append(option)
            default: fields[key] = value
            }
        }
        guard let vm = fields["vm"].flatMap({ try? VMName($0) }),
            let deviceClass = fields["class"].flatMap(DeviceClass.init(rawValue:)),
            let device = fields["device"].flatMap({ try? DeviceReference(parsing: $0, of: deviceClass) }),
            let id = fields["id"].flatMap(AttachmentID.init), let key = fields["key"],
            let checked = try? DeviceOptions(options, of: deviceClass)
        else { return nil }
        self.init(
            vm: vm, device: device, id: id, options: checked,
            canonical: CanonicalDevice(key: key, alone: alone, beneath: beneath),
            sequence: fields["sequence"].flatMap(UInt64.init),
            servedAs: fields["served-as"].flatMap { try? Port($0, of: deviceClass) })
    }
}
