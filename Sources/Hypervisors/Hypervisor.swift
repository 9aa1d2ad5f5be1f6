public import Devices
public import Platform

/// What runs virtual machines. It knows nothing of assignments.
public protocol Hypervisor: Sendable {
    /// Its name for messages: "QEMU".
    var name: String { get }

    /// The VMs that run, paused ones included.
    func runningVMs() throws(HypervisorError) -> [VMName]

    /// Whether a VM runs; nil when that cannot be found out.
    func isRunning(_ vm: VMName) -> Bool?

    /// Opens the control connection of a VM; with `waiting` it may still be on its way until the deadline.
    ///
    /// Throws `.notRunning` when there is no such VM now, `.unreachable` when it does not answer in time, `.wrongVM`
    /// when another VM answers.
    func connect(to vm: VMName, until deadline: Deadline, waiting: Bool) throws(HypervisorError) -> any RunningVM

    /// Says why an option of the class cannot be honoured here; nil when all can.
    func objection(to options: DeviceOptions, of deviceClass: DeviceClass) -> HypervisorError?

    /// The description with which a VM that does not run has to be started to have these devices, where some can only be in
    /// it; nil when the VM can be started as it is.
    func startDescription(of vm: VMName, with devices: [Device]) throws(HypervisorError) -> String?

    /// How VMs are started here.
    var startManner: StartManner { get }

    /// Which VMs have each of these devices, or a part of it, by the hypervisor's own account; none where our locks are the
    /// account.
    func holders(of devices: [Device]) throws(HypervisorError) -> [[VMName]]

    /// What a VM that is not started yet would come to with these devices, all of them required.
    func preview(of vm: VMName, with requests: [AttachRequest]) throws(HypervisorError) -> StartPreview

    /// Starts a VM whole and waits until it is up; one that is up already, or on its way, is no error.
    func start(_ vm: VMName, until deadline: Deadline) throws(HypervisorError)
}

/// How VMs are started by a hypervisor's own means.
public enum StartManner: Sendable {
    /// Paused before the first instruction: we attach, and let the VM run.
    case paused
    /// As a whole, with what is assigned: we look before it, and after it. A device is only had in the port that its
    /// assignment names.
    case whole
}

/// What a start would come to, as far as a hypervisor can tell before.
public struct StartPreview: Sendable {
    /// Whether the VM is up, so that nothing is about to be started.
    public var isUp = false
    /// Why each device would not arrive as it was asked for, in the order in which they were given; nil for one that would.
    public var objections: [HypervisorError?]
    /// Whether somebody is there to ask the user about a device, as Qubes OS does; nil when that is not known.
    public var canAsk: Bool?

    /// A preview without objections against so many devices.
    public init(devices count: Int) { objections = Array(repeating: nil, count: count) }
}

extension Hypervisor {
    /// Where every device can be attached later.
    public func startDescription(of vm: VMName, with devices: [Device]) throws(HypervisorError) -> String? { nil }

    /// By the list of all.
    public func isRunning(_ vm: VMName) -> Bool? { (try? runningVMs())?.contains(vm) }

    /// Paused.
    public var startManner: StartManner { .paused }

    /// None: our locks say it.
    public func holders(of devices: [Device]) throws(HypervisorError) -> [[VMName]] {
        Array(repeating: [], count: devices.count)
    }

    /// Nothing is known before the VM is there.
    public func preview(of vm: VMName, with requests: [AttachRequest]) throws(HypervisorError) -> StartPreview {
        StartPreview(devices: requests.count)
    }

    /// Not here.
    public func start(_ vm: VMName, until deadline: Deadline) throws(HypervisorError) {
        throw HypervisorError(
            .unsupported, "VM \(vm) cannot be started by us: \(name) starts no VM whole",
            remedy: "Start it by its unit")
    }
}

/// One VM that runs, over its control connection: the connection ends when the last reference goes.
public protocol RunningVM: AnyObject {
    /// Which VM.
    var name: VMName { get }

    /// Where it is in its life.
    func state() throws(HypervisorError) -> VMState

    /// The devices that we attached and that it still has, by what the VM itself says.
    func attachments() throws(HypervisorError) -> Set<AttachmentID>

    /// Tells that so many devices, some of them perhaps on PCI, will be placed soon: what the VM has to be asked for that can
    /// be asked while we look at the host. Each call goes one question further. Nothing depends on it, and it never waits long;
    /// what fails here fails in `place`, and is told there.
    func foresee(_ count: Int)

    /// Finds a place for each request, in order, before any is attached; nil for one that has a place, else why not.
    func place(_ requests: [AttachRequest]) throws(HypervisorError) -> [HypervisorError?]

    /// Attaches one device at the place that was found for it. A failure leaves nothing behind.
    func attach(_ request: AttachRequest) throws(HypervisorError)

    /// Asks the VM itself whether each device is really there as it was asked for; nil for one that is, else what is
    /// wrong with it.
    func verify(_ requests: [AttachRequest]) throws(HypervisorError) -> [HypervisorError?]

    /// Devices that we attached and whose other end has gone meanwhile, so that the VM has nothing of them any more.
    func deadEnds() throws(HypervisorError) -> Set<AttachmentID>

    /// Has the VM's process hold what keeps a disk of another VM exported, in place of what it held for that disk before.
    func keep(_ lease: Descriptor, of id: AttachmentID) throws(HypervisorError)

    /// Takes a device away and drops what was handed over for it.
    func detach(_ id: AttachmentID, until deadline: Deadline) throws(HypervisorError)

    /// What proves that the VM has a device.
    var custody: Custody { get }

    /// Lets a VM run that has not started yet, and makes sure that it does.
    func resume() throws(HypervisorError)

    /// Ends the VM at once, as pulling its plug does, and waits until it has gone.
    func end() throws(HypervisorError)
}

extension RunningVM {
    /// Nothing takes long.
    public func foresee(_ count: Int) {}

    /// None: no device has another end.
    public func deadEnds() throws(HypervisorError) -> Set<AttachmentID> { [] }

    /// Nothing is held here.
    public func keep(_ lease: Descriptor, of id: AttachmentID) throws(HypervisorError) {
        throw HypervisorError(.unsupported, "VM \(name): \(id) is no disk that it could have anew while it runs")
    }
}

/// Where a VM is in its life.
public enum VMState: Hashable, Sendable, CustomStringConvertible {
    /// Paused before its first instruction.
    case notStarted
    /// It runs.
    case running
    /// Paused later, by somebody or something; the hypervisor's word for it.
    case paused(String)
    /// Ended, crashed or otherwise of no use; the hypervisor's word for it.
    case ended(String)

    /// "running", "paused (io-error)".
    public var description: String {
        switch self {
        case .notStarted: "paused before its first instruction"
        case .running: "running"
        case .paused(let word): "paused (\(word))"
        case .ended(let word): "ended (\(word))"
        }
    }
}
