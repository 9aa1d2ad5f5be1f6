public import Devices
internal import Hypervisors

/// Under which name each disk of a VM arrives in its guest.
///
/// What Qubes OS gives a VM as it starts is named without a look at the other disks: two of them can come to one name, and
/// only one arrives (its issue 5551).
public struct FrontendNames: Sendable {
    /// A disk whose name another one has.
    public struct Clash: Hashable, Sendable {
        /// The disk that comes second.
        public let assignment: Assignment
        /// The one that has the name.
        public let other: Assignment
        /// `xvdi`.
        public let name: String
        /// A name that none of them has.
        public let free: String
    }

    /// The clashes among the assignments of one VM, in their order.
    public let clashes: [Clash]

    /// Looks at all disks that a start itself gives the VM, and at the names that others were given.
    public init(_ assignments: some Sequence<Assignment>) {
        let disks = assignments.filter { $0.device.deviceClass == .block && $0.mode != .askToAttach }
        let named = Set(disks.compactMap { $0.options["frontend-dev"] } + ["xvdi"])
        let free = "jklmnopqrstuvwxyz".map { "xvd\($0)" }.first { !named.contains($0) } ?? "xvdaa"
        // One that is attached later is given the first name that is free.
        let fixed = disks.filter { $0.mode == .required || $0.options["frontend-dev"] != nil }
        clashes = zip(fixed, FrontendName.earlier(fixed.map(\.options))).compactMap { disk, earlier in
            guard let earlier, fixed.indices.contains(earlier) else { return nil }
            return Clash(
                assignment: disk, other: fixed[earlier], name: FrontendName.of(disk.options), free: free)
        }
    }
}

extension FrontendNames.Clash {
    /// What is wrong, a sentence without its full stop.
    public var message: String {
        "VM \(assignment.target): block devices \(other.device) and \(assignment.device) would both be \(name) in the VM, and only one would arrive"
    }

    /// What to do.
    public var remedy: String {
        "Give one of them a name of its own: -o frontend-dev=\(free)."
    }
}
