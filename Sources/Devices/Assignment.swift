/// The stored wish that a VM has a device at each of its starts.
public struct Assignment: Hashable, Sendable {
    /// The VM that gets the device.
    public let target: VMName
    /// Which device.
    public let device: DeviceReference
    /// What happens when it is not available.
    public let mode: AssignmentMode
    /// How it is attached.
    public let options: DeviceOptions

    /// Makes an assignment; throws when the options are not ones of the class or the target is the host.
    public init(
        target: VMName, device: DeviceReference, mode: AssignmentMode = .required, options: DeviceOptions
    ) throws(SyntaxError) {
        guard !target.isHost else {
            throw SyntaxError("target VM", target.description, expected: "a VM: the host cannot be given a device")
        }
        guard target != device.source else {
            throw SyntaxError(
                "assignment", "\(target) \(device)", expected: "a source VM other than the target VM itself")
        }
        self.target = target
        self.device = device
        self.mode = mode
        self.options = options
    }

    /// Whether both mean the same row of the table: same target, same class, same reference.
    public func isSameWish(as other: Assignment) -> Bool { target == other.target && device == other.device }

    /// The same with another mode.
    public func with(mode: AssignmentMode) -> Assignment {
        Assignment(unchecked: target, device, mode, options)
    }

    private init(
        unchecked target: VMName, _ device: DeviceReference, _ mode: AssignmentMode, _ options: DeviceOptions
    ) {
        self.target = target
        self.device = device
        self.mode = mode
        self.options = options
    }
}
