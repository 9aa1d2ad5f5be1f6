internal import Devices
internal import Platform
internal import Synchronization

/// What a simulated VM is; connections to it share it.
final class SimulatedMachine: Sendable {
    let name: VMName
    /// Who leases are made out to; nil when it takes open files itself.
    let holder: LeaseHolder?
    private let content: Mutex<Content?>

    /// All of it; gone with the VM, and with it the descriptors.
    struct Content {
        var state: VMState
        let places: Int
        var devices: [AttachmentID: AttachedDevice] = [:]
        var held: [String: Descriptor] = [:]
        var faults: [Simulator.Fault] = []
    }

    /// A device and the copy of what was handed over for it, if it was not handed over by its name.
    struct AttachedDevice {
        let shown: Simulator.Attached
        let copy: Descriptor?
        /// Whether it is a connection whose other end may go.
        let isStream: Bool
    }

    init(name: VMName, state: VMState, places: Int, holder: LeaseHolder?) {
        self.name = name
        self.holder = holder
        content = Mutex(Content(state: state, places: places))
    }

    /// Changes it from outside, if it still lives.
    func change(_ body: (inout Content) -> Void) {
        content.withLock { content in
            guard var changed = content.take() else { return }
            body(&changed)
            content = changed
        }
    }

    /// Looks at it from outside; nil when it has ended.
    func inspect<Value: Sendable>(_ body: (Content) -> Value) -> Value? { content.withLock { $0.map(body) } }

    /// Ends it.
    func die() { content.withLock { $0 = nil } }

    /// What a connection does with it; throws when it has ended or does not answer.
    func use<Value: Sendable>(
        _ body: (inout Content) throws(HypervisorError) -> Value
    ) throws(HypervisorError) -> Value {
        try content.withLock { content throws(HypervisorError) in
            guard var changed = content else {
                throw HypervisorError(.unreachable, "VM \(name): it closed the connection")
            }
            guard !changed.faults.contains(.doesNotAnswer) else {
                throw HypervisorError(.unreachable, "VM \(name): no answer in time")
            }
            defer { content = changed }
            return try body(&changed)
        }
    }
}
