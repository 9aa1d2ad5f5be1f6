public import Devices
public import Platform
internal import Synchronization

/// A hypervisor in memory that behaves like a real one: places run out, names are unique, ended VMs are gone, and the
/// descriptors that it is given are real copies, closed when the VM ends. It can also be told to misbehave.
public final class Simulator: Hypervisor {
    /// "the simulator".
    public let name = "the simulator"

    private let machines = Mutex<[VMName: SimulatedMachine]>([:])

    /// Makes a hypervisor without VMs.
    public init() {}

    /// What a VM does wrong.
    public enum Fault: Equatable, Sendable {
        /// Refuses the attachment with this error.
        case refuses(AttachmentID, HypervisorError)
        /// Says that it attached the device, and attaches nothing.
        case attachesNothing(AttachmentID)
        /// Attaches read-write what was to be read-only.
        case attachesWritable(AttachmentID)
        /// Does not let go of the device.
        case keeps(AttachmentID)
        /// Says that it runs, and stays paused.
        case doesNotResume
        /// Does not end.
        case doesNotEnd
        /// Gives no answer to anything.
        case doesNotAnswer
    }

    /// A device as a VM has it.
    public struct Attached: Hashable, Sendable {
        /// Its port on the source VM.
        public let port: Port
        /// Whether the guest can only read it.
        public let readOnly: Bool

        /// Describes a device that a VM has.
        public init(port: Port, readOnly: Bool) {
            self.port = port
            self.readOnly = readOnly
        }
    }

    /// Starts a VM with room for `places` devices; one that runs already is replaced. With a `holder` it takes no open
    /// files, and that process stands for its own.
    public func add(
        _ vm: VMName, state: VMState = .notStarted, places: Int = 8, holder: LeaseHolder? = nil
    ) {
        machines.withLock {
            $0[vm] = SimulatedMachine(name: vm, state: state, places: places, holder: holder)
        }
    }

    /// Has the VM do something wrong from now on.
    public func script(_ vm: VMName, _ faults: Fault...) {
        machines.withLock { $0[vm] }?.change { $0.faults += faults }
    }

    /// Has the VM do everything right again.
    public func heal(_ vm: VMName) {
        machines.withLock { $0[vm] }?.change { $0.faults = [] }
    }

    /// Kills the VM: all that it holds is closed at once, and connections to it break.
    public func crash(_ vm: VMName) {
        machines.withLock { $0.removeValue(forKey: vm) }?.die()
    }

    /// The guest shuts down, and its VM ends.
    public func shutDown(_ vm: VMName) { crash(vm) }

    /// Where a VM is in its life; nil for one that is not there.
    public func state(of vm: VMName) -> VMState? { machines.withLock { $0[vm] }?.inspect { $0.state } }

    /// What a VM has been given.
    public func attached(to vm: VMName) -> [AttachmentID: Attached] {
        machines.withLock { $0[vm] }?.inspect { $0.devices.mapValues(\.shown) } ?? [:]
    }

    /// Under which names a VM holds descriptors.
    public func held(by vm: VMName) -> Set<String> {
        machines.withLock { $0[vm] }?.inspect { Set($0.held.keys) } ?? []
    }

    /// All VMs, in order.
    public func runningVMs() throws(HypervisorError) -> [VMName] { machines.withLock { $0.keys.sorted() } }

    /// Opens the control connection of a VM. Time is not simulated: one that is not there does not come.
    public func connect(
        to vm: VMName, until deadline: Deadline, waiting: Bool
    ) throws(HypervisorError) -> any RunningVM {
        guard let machine = machines.withLock({ $0[vm] }) else {
            throw waiting
                ? HypervisorError(.unreachable, "VM \(vm) did not come up in time")
                : HypervisorError(.notRunning, "VM \(vm) is not running")
        }
        let connection = SimulatorVM(machine: machine) { [weak self] in self?.forget(machine) }
        _ = try connection.state()
        return connection
    }

    /// `frontend-dev` cannot be honoured, as on QEMU.
    public func objection(to options: DeviceOptions, of deviceClass: DeviceClass) -> HypervisorError? {
        guard options["frontend-dev"] != nil else { return nil }
        return HypervisorError(
            .unsupported, "frontend-dev cannot be honoured: the guest names its own disks",
            remedy: "Drop the option")
    }

    /// Removes a VM that has ended, unless another of its name runs by now.
    private func forget(_ machine: SimulatedMachine) {
        machines.withLock { if $0[machine.name] === machine { $0[machine.name] = nil } }
    }
}
