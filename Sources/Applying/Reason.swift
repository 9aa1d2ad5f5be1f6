/// Why something failed, as one fixed word: the journal's `VMDEV_REASON=`, and what decides the exit status.
public enum Reason: String, Sendable, CaseIterable {
    /// Nothing is in the port and nothing has the identity.
    case deviceMissing = "device-missing"
    /// The device is in another port and is not to be followed.
    case deviceMoved = "device-moved"
    /// Another device is in the port.
    case deviceReplaced = "device-replaced"
    /// Several devices have the identity.
    case deviceAmbiguous = "device-ambiguous"
    /// The device can only be read, and was asked for writing.
    case deviceReadOnly = "device-read-only"
    /// This host cannot give the device to any VM as things are.
    case deviceUnfit = "device-unfit"
    /// The source VM is not one that exposes devices here.
    case sourceUnknown = "source-unknown"
    /// The source cannot say what it exposes.
    case sourceUnreadable = "source-unreadable"
    /// The source is a VM that does not run.
    case sourceNotRunning = "source-not-running"
    /// The source is a VM that runs, and its exporter does not answer.
    case sourceSilent = "source-silent"
    /// The source, a VM, uses the device itself.
    case usedBySource = "used-by-source"
    /// The source has exported the device to another VM.
    case exported
    /// The host itself uses the device.
    case usedByHost = "used-by-host"
    /// Another VM has the device, or a part of it.
    case taken
    /// Two assignments of one VM stand in each other's way.
    case overlap
    /// The hypervisor cannot honour an option.
    case optionUnsupported = "option-unsupported"
    /// The hypervisor's release, or the VM as it is configured, cannot do this.
    case incapable
    /// An agent that is needed for the device is not there: in the VM, in its AudioVM, or on the desktop.
    case agentMissing = "agent-missing"
    /// The table has a wrong row for this VM.
    case tableWrong = "table-wrong"
    /// The table cannot be read.
    case tableUnreadable = "table-unreadable"
    /// vmdev.conf is wrong.
    case configuration
    /// The VM has no free place for the device.
    case noRoom = "no-room"
    /// The hypervisor said no.
    case refused
    /// The hypervisor said yes, and the device is not there.
    case notVerified = "not-verified"
    /// The hypervisor's answer was not understood.
    case notUnderstood = "not-understood"
    /// The VM does not run.
    case notRunning = "not-running"
    /// The VM does not answer in time.
    case unreachable
    /// Another VM answers in its place.
    case wrongVM = "wrong-vm"
    /// The VM is at a point where nothing can be attached.
    case wrongState = "wrong-state"
    /// Another program of ours works on the same VM and does not end.
    case busy
    /// The host did not get back what a VM had.
    case notGivenBack = "not-given-back"
    /// We may not.
    case permission

    /// The exit status of a program that fails for this reason.
    public var status: Sysexit {
        switch self {
        case .deviceMissing, .deviceMoved, .deviceReplaced, .deviceAmbiguous, .deviceReadOnly, .deviceUnfit,
            .sourceUnknown, .sourceUnreadable, .sourceNotRunning:
            .unavailable
        case .usedByHost, .usedBySource, .exported, .taken: .taken
        case .overlap, .optionUnsupported, .incapable, .agentMissing, .tableWrong: .tableWrong
        case .tableUnreadable, .configuration, .noRoom, .wrongVM: .configuration
        case .refused, .notVerified, .notUnderstood, .notGivenBack: .refused
        case .notRunning, .sourceSilent, .unreachable, .wrongState, .busy: .unreachable
        case .permission: .permission
        }
    }
}
