public import Devices
public import Systemd

/// One thing that happened to one device or to the start of one VM: one entry of the journal.
public struct Outcome: Equatable, Sendable {
    /// What kind of thing.
    public let kind: Kind
    /// The VM it happened to.
    public let target: VMName
    /// The assignment, if it is about one.
    public let assignment: Assignment?
    /// The device, once it is known.
    public let device: Device?
    /// Which device, by port and identity as it was when it was attached, where it is not there any more.
    public let reference: DeviceReference?
    /// The fixed word of a failure.
    public let reason: Reason?
    /// What a reader sees, made printable.
    public let message: String
    /// How long it took to claim the device and to attach it.
    public let duration: Duration?
    /// How long the device was waited for before.
    public let waited: Duration?

    /// Describes an outcome.
    public init(
        _ kind: Kind, target: VMName, assignment: Assignment? = nil, device: Device? = nil,
        reference: DeviceReference? = nil, reason: Reason? = nil,
        duration: Duration? = nil, waited: Duration? = nil, _ message: String
    ) {
        self.kind = kind
        self.target = target
        self.assignment = assignment
        self.device = device
        self.reference = reference
        self.reason = reason
        self.duration = duration
        self.waited = waited
        self.message = printable(message, limit: 8192)
    }

    /// The kinds, each with its own MESSAGE_ID.
    public enum Kind: String, CaseIterable, Sendable {
        /// A device was attached and verified.
        case attached
        /// It was there before.
        case alreadyAttached
        /// It was found in another port than the assignment says.
        case followed
        /// A device was taken away.
        case detached
        /// A required device, or the whole of them, cannot be had.
        case failed
        /// An auto-attach device cannot be had; the VM starts without it.
        case skipped
        /// The VM has all its required devices and runs.
        case started
        /// The VM has all its required devices; it ran before.
        case complete
        /// The VM was not started.
        case startRefused
        /// The VM that had to be ended could not be.
        case endFailed
        /// A VM that was up lacks devices, and was left alone.
        case leftAlone
        /// The VM has gone and its devices are free.
        case released
        /// The VM has gone, and something still holds one of its devices.
        case stillHeld
        /// A device came back to the driver of the host that had it before.
        case givenBack
        /// A VM was started because it exposes a device that another one needs.
        case sourceStarted
        /// Devices that are late are waited for.
        case waiting
        /// Something about a device that is worth knowing before it is missed.
        case caution
        /// A device that a running VM has assigned was plugged in again, and took the place of what was left of it.
        case reattached
        /// A device of another VM that a running VM had is not given any more.
        case lost
        /// A device was plugged in that several running VMs have assigned, and another one got it.
        case passedOver
        /// A device was plugged in, and a running VM that has it assigned could not get it.
        case plugFailed
        /// Something in vmdev.conf is not understood, and ignored.
        case settingIgnored

        /// The MESSAGE_ID= that the message catalog explains.
        public var messageID: MessageID {
            switch self {
            case .attached: MessageID(0x0d926d0788104bc6, 0x8aa25350e01969ac)
            case .alreadyAttached: MessageID(0xf6d688e3f3ac4bfc, 0xb1edf9ea8d98a8c9)
            case .followed: MessageID(0x49ffbec1d5fe422f, 0xb3af0369b9236814)
            case .detached: MessageID(0x3276a543b1854b9b, 0xba3a32adbda9a2e1)
            case .failed: MessageID(0xc37ef556c4134c02, 0xbb017cf7d3c45816)
            case .skipped: MessageID(0x04e1ddc651524ed8, 0x8144113e1f303b5b)
            case .started: MessageID(0x4c3faaf09de34ae4, 0xaac72dfe0aafd469)
            case .complete: MessageID(0x04ed34a3738049d7, 0x966f7be75d687b62)
            case .startRefused: MessageID(0x4b038a4f3b9646c2, 0xa8a580b5f5dd8726)
            case .endFailed: MessageID(0xd1d58d94e1434b6c, 0x821e9a954cefe842)
            case .leftAlone: MessageID(0x05aebebb9aa141f1, 0xa213abb3e473cf27)
            case .released: MessageID(0x712deadded564d2c, 0xacb31e5c8078e044)
            case .stillHeld: MessageID(0x7f0c1d7b6a944f0c, 0x9c5a0b8cbb2f1e63)
            case .givenBack: MessageID(0x2c8f_0d6e_b1a7_4f53, 0x9e44_6a0f_d2b7_1c85)
            case .waiting: MessageID(0x5c3e_8a41_90d7_4b6f, 0xa2c9_1f7d_64e8_b035)
            case .sourceStarted: MessageID(0x9a41_7c0b_52e6_4d18, 0xa6f3_40d9_8b1c_e572)
            case .caution: MessageID(0x6d1b_93e0_47ac_4c2e, 0xb8f1_0e5d_37a9_64f2)
            case .reattached: MessageID(0xf17a_6427_2aca_4714, 0x9e49_5888_56b1_4430)
            case .lost: MessageID(0x3f1b_c07d_5a2e_4e86, 0x9d04_b7e1_62c8_5fa9)
            case .passedOver: MessageID(0x0bf0_4280_32d3_43ba, 0xbe9d_1067_743c_a74a)
            case .plugFailed: MessageID(0xe141_ac95_4e0a_426a, 0xb138_4751_ca22_3893)
            case .settingIgnored: MessageID(0xb5b0f7d3f6c54a9c, 0x8e8b1d7b6f1f0a52)
            }
        }

        /// How bad it is.
        public var severity: JournalEntry.Priority {
            switch self {
            case .failed, .endFailed: .error
            case .skipped, .followed, .leftAlone, .stillHeld, .settingIgnored, .caution, .plugFailed,
                .lost:
                .warning
            case .startRefused, .passedOver: .notice
            case .attached, .alreadyAttached, .detached, .started, .complete, .released, .givenBack, .waiting,
                .reattached, .sourceStarted:
                .info
            }
        }
    }
}

/// Where outcomes go.
public protocol Reporter: Sendable {
    /// Tells an outcome, once.
    func report(_ outcome: Outcome)
    /// Tells the service manager what is going on now, in a few words.
    func progress(_ text: String)
    /// The same, when it may take so much longer from now on before the next word.
    func progress(_ text: String, needing time: Duration)
}

extension Reporter {
    /// Nobody minds.
    public func progress(_ text: String, needing time: Duration) { progress(text) }
}
