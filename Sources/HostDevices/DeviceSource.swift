public import Devices
public import Platform

/// Somebody who exposes devices: this host, or a VM.
public protocol DeviceSource: Sendable {
    /// Its name; `dom0` for the host.
    var name: VMName { get }

    /// All devices of a class that it exposes now, in the order of their ports.
    func devices(of deviceClass: DeviceClass) throws(SourceError) -> [Device]

    /// Enough of them to decide what `reference` means: only the port's device when that settles it, else all.
    func candidates(for reference: DeviceReference) throws(SourceError) -> [Device]

    /// The same for several references, all answered from one look at the source; in their order.
    func candidates(for references: [DeviceReference]) throws(SourceError) -> [[Device]]

    /// Why the device, which is there and free, cannot be given to a VM that gets those `together`; nil when it can.
    func objection(to device: Device, options: DeviceOptions, together: [Device]) -> SourceError?

    /// Makes the device ready for a VM and claims it against the rest of the host, and makes sure that it is still the
    /// very device. Answers the open node, whose claim lasts as long as it is open anywhere; nil for a device that is
    /// handed over by its name. What fails leaves nothing behind.
    func claim(_ device: Device, for vm: VMName, readOnly: Bool, options: DeviceOptions) throws(SourceError)
        -> Descriptor?

    /// The same, however the VM gets at it; by default by the node that `claim` opened.
    func access(to device: Device, for vm: VMName, readOnly: Bool, options: DeviceOptions) throws(SourceError)
        -> DeviceAccess

    /// The same for a VM that has had the device when it was in the port `place`, and finds it only there.
    func access(to device: Device, for vm: VMName, readOnly: Bool, options: DeviceOptions, as place: Port)
        throws(SourceError) -> DeviceAccess

    /// Gives the host back what `claim` changed for that VM, once the VM has the device no more: its driver. A device
    /// that was not changed is no error.
    func giveBack(_ port: Port, of deviceClass: DeviceClass, from vm: VMName) throws(SourceError)

    /// The same for all that was changed for a VM that has ended; answers the devices that were given back.
    func giveBackAll(from vm: VMName) throws(SourceError) -> [DeviceReference]

    /// Begins to listen for what can make one of these devices of its available, while they are waited for; nil when nothing
    /// will ever be heard of them, so that none of them counts as late.
    func listen(for references: [DeviceReference]) throws(SourceError) -> (any DeviceEvents)?

    /// Why nothing is in that port, when the source knows ("/dev/loop0 exists but has no backing file"); nil otherwise.
    func absence(of port: Port, in deviceClass: DeviceClass) -> String?

    /// Whether the very device that was in the port as `sequence` has been plugged out since. Only what is known for
    /// certain counts: one that is merely not listed at the moment has not gone.
    func hasGone(_ sequence: UInt64, from port: Port, of deviceClass: DeviceClass) -> Bool
}

/// What is heard of devices that are waited for, from its making on. Whoever owns it has the only one.
public protocol DeviceEvents {
    /// Can be read, as poll(2) says it, when there may be something to take: a socket that is told, a timer that says when
    /// to ask again.
    var descriptor: Int32 { get }

    /// Takes note of all that is there to be heard, without waiting; answers whether a device that is waited for may be
    /// there now.
    func take() throws(SourceError) -> Bool
}

extension DeviceSource {
    /// Nothing is ever heard.
    public func listen(for references: [DeviceReference]) throws(SourceError) -> (any DeviceEvents)? { nil }

    /// Nothing is known of it.
    public func hasGone(_ sequence: UInt64, from port: Port, of deviceClass: DeviceClass) -> Bool { false }

    /// None.
    public func objection(to device: Device, options: DeviceOptions, together: [Device]) -> SourceError? { nil }

    /// What `claim` opened, or the name.
    public func access(
        to device: Device, for vm: VMName, readOnly: Bool, options: DeviceOptions
    ) throws(SourceError) -> DeviceAccess {
        try claim(device, for: vm, readOnly: readOnly, options: options).map { .open($0) } ?? .byName
    }

    /// Only in its own port.
    public func access(
        to device: Device, for vm: VMName, readOnly: Bool, options: DeviceOptions, as place: Port
    ) throws(SourceError) -> DeviceAccess {
        guard place == device.port else {
            throw SourceError(.unfit, "\(device.name) cannot be given to VM \(vm) as \(place)")
        }
        return try access(to: device, for: vm, readOnly: readOnly, options: options)
    }

    /// One after the other.
    public func candidates(for references: [DeviceReference]) throws(SourceError) -> [[Device]] {
        var found: [[Device]] = []
        for reference in references { found.append(try candidates(for: reference)) }
        return found
    }
}

/// Why a source did not do what it was asked for.
public struct SourceError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What went wrong, in the kinds that a caller treats differently.
    public enum Kind: Hashable, Sendable {
        /// We could not find out.
        case unreadable
        /// It does not answer yet, and may in a while.
        case notYet
        /// We may not.
        case forbidden
        /// The device has gone.
        case gone
        /// Another device has its name now, or it has another size.
        case changed
        /// The source itself uses it.
        case inUse(Device.Use)
        /// It cannot be written.
        case readOnlyOnly
        /// The drive is empty.
        case noMedium
        /// This host cannot give it to a VM as things are.
        case unfit
        /// The source is a VM that does not run.
        case notRunning
        /// The source is a VM that runs, and nobody in it answers.
        case silent
        /// The source's answer was not understood.
        case notUnderstood
        /// The source has given it to another VM.
        case exported
        /// There is no such VM.
        case unknown
        /// Whoever knows what the source exposes cannot be asked, or not in time.
        case unreachable
    }

    /// The kind.
    public let kind: Kind
    /// A sentence without its full stop: the thing and the reason.
    public let message: String
    /// What to do next, as a sentence, if anything can be said.
    public let remedy: String?

    /// Everything in `message` and `remedy` is made printable.
    public init(_ kind: Kind, _ message: String, remedy: String? = nil) {
        self.kind = kind
        self.message = printable(message, limit: 1024)
        self.remedy = remedy.map { printable($0, limit: 1024) }
    }

    /// Message and remedy.
    public var description: String { remedy.map { "\(message). \($0)" } ?? message }
}

extension SourceError {
    /// Something of the host that could not be read.
    init(_ error: SystemCallError) {
        self.init(
            error.isPermission ? .forbidden : .unreadable, "cannot \(error)",
            remedy: error.isPermission ? "Run this as root." : nil)
    }
}
