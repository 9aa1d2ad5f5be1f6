public import Devices

/// A device as a source VM tells of it: checked for its form, and believed as far as its own devices go.
public struct ExportedDevice: Hashable, Sendable {
    /// Its class.
    public let deviceClass: DeviceClass
    /// Where it is plugged there.
    public let port: Port
    /// Its identities, at most `ExportLimits.identities`.
    public let identities: [DeviceIdentity]
    /// What it says of itself, printable.
    public let title: String
    /// Tells this plug of it, in this boot of the VM, from any other.
    public let instance: String
    /// What it is, for exclusion among the devices of this VM.
    public let canonical: CanonicalDevice
    /// Who uses it there, printable half sentences.
    public let uses: [String]
    /// The VM that has it, when one has.
    public let target: VMName?
    /// What only a disk has.
    public let disk: Disk?

    /// What only a disk has.
    public struct Disk: Hashable, Sendable {
        /// Bytes; more than 0.
        public let size: UInt64
        /// Whether it can only be read.
        public let isReadOnly: Bool
        /// The serial number that the guest is shown.
        public let serial: String

        /// Describes a disk.
        public init(size: UInt64, isReadOnly: Bool, serial: String) {
            self.size = size
            self.isReadOnly = isReadOnly
            self.serial = serial
        }
    }

    /// The name of the thing in `canonical`.
    var key: String { canonical.key }

    /// Tells of a device of the machine that exports it; what has not the form that the protocol asks for is cut.
    public init(_ device: Device, instance: String, target: VMName?) {
        deviceClass = device.deviceClass
        port = device.port
        identities = Array(device.identities.prefix(ExportLimits.identities))
        title = printable(device.title)
        self.instance = instance
        canonical = device.canonical
        uses = device.uses.prefix(ExportLimits.relations).map { printable($0.description) }
        self.target = target
        disk = device.block.map { Disk(size: $0.size, isReadOnly: $0.isReadOnly, serial: $0.serial) }
    }
}

extension ExportedDevice {
    /// One device in a list.
    struct Entry: Codable {
        var port: String
        var identities: [String]?
        var title: String
        var instance: String
        var key: String
        var alone: [String]?
        var beneath: [String]?
        var uses: [String]?
        var target: String?
        var size: UInt64?
        var readOnly: Bool?
        var serial: String?

        enum CodingKeys: String, CodingKey {
            case port, identities, title, instance, key, alone, beneath, uses, target, size, serial
            case readOnly = "read-only"
        }
    }

    var entry: Entry {
        Entry(
            port: port.description, identities: identities.map(\.description), title: title, instance: instance,
            key: key, alone: canonical.alone, beneath: canonical.beneath, uses: uses, target: target?.description,
            size: disk?.size, readOnly: disk?.isReadOnly, serial: disk?.serial)
    }

    init(_ entry: Entry, of deviceClass: DeviceClass) throws(ExportSyntaxError) {
        self.deviceClass = deviceClass
        let lists =
            [(entry.identities ?? []).count - ExportLimits.identities]
            + [entry.alone, entry.beneath, entry.uses]
            .map { ($0 ?? []).count - ExportLimits.relations }
        guard lists.allSatisfy({ $0 <= 0 }) else {
            throw ExportSyntaxError("it tells too much of '\(printable(entry.port, limit: 40))'")
        }
        do throws(SyntaxError) {
            port = try Port(entry.port, of: deviceClass)
            var names: [DeviceIdentity] = []
            for text in entry.identities ?? [] { names.append(try DeviceIdentity(text)) }
            identities = names
            target = try entry.target.map { name throws(SyntaxError) in try VMName(name) }
        } catch {
            throw ExportSyntaxError(error.description)
        }
        title = printable(entry.title)
        instance = try checked(entry.instance, "instance", limit: ExportLimits.instance)
        canonical = CanonicalDevice(
            key: try ExportedDevice.key(entry.key), alone: try ExportedDevice.keys(entry.alone),
            beneath: try ExportedDevice.keys(entry.beneath))
        uses = (entry.uses ?? []).map { printable($0) }
        guard deviceClass == .block else {
            disk = nil
            return
        }
        guard let size = entry.size, size > 0, size <= ExportLimits.size, let isReadOnly = entry.readOnly else {
            throw ExportSyntaxError("it does not tell the size of '\(port)', or a wrong one")
        }
        let serial = entry.serial ?? ""
        guard serial.utf8.count <= ExportLimits.serial, printable(serial) == serial else {
            throw ExportSyntaxError("'\(printable(serial, limit: 40))' is no serial number of a disk")
        }
        disk = Disk(size: size, isReadOnly: isReadOnly, serial: serial)
    }

    /// A key becomes part of a file's name.
    private static func key(_ text: String) throws(ExportSyntaxError) -> String {
        let key = try checked(text, "device key", limit: ExportLimits.key)
        guard !key.contains("/"), !key.hasPrefix(".") else {
            throw ExportSyntaxError("'\(printable(text, limit: 60))' is no device key")
        }
        return key
    }

    private static func keys(_ texts: [String]?) throws(ExportSyntaxError) -> [String] {
        var keys: [String] = []
        for text in texts ?? [] { keys.append(try key(text)) }
        return keys
    }
}
