internal import Devices
internal import HostDevices
internal import Hypervisors
internal import Platform

/// The texts of what resolving can find: each names VM, class, source and port, what was expected, what is there, and
/// what to do.
extension Problem {
    static func notThere(
        _ assignment: Assignment, _ match: Match, source: any DeviceSource, follow: Bool
    ) -> Problem {
        let wanted = assignment.device
        let name = subject(assignment)
        switch match {
        case .replaced(let other):
            return Problem(
                .deviceReplaced, assignment,
                "\(name) is not there: expected \(expectation(wanted)), but \(other.name) is \(identify(other))",
                remedy: """
                    Put the right device back, or assign the one that is there: \
                    vmdevctl \(wanted.deviceClass) assign --required \(assignment.target) \(other.name).
                    """)
        case .moved(let other):
            return Problem(
                .deviceMoved, assignment,
                "\(name) is not in its port: expected \(expectation(wanted)), and it is at \(other.name) now",
                remedy: follow
                    ? "Plug it back, or assign it without follow=no."
                    : "Plug it back, or assign it where it is: vmdevctl \(wanted.deviceClass) assign --required \(assignment.target) \(other.name)."
            )
        case .ambiguous(let devices):
            return Problem(
                .deviceAmbiguous, assignment,
                """
                \(name) is ambiguous: expected one device that is \(expectation(wanted)), and there are \
                \(devices.map(\.name).joined(separator: ", "))
                """,
                remedy:
                    "Assign the one that is meant by its port: \(command("assign --required --port", assignment)).")
        case .absent, .found:
            let detail = wanted.port.flatMap { source.absence(of: $0, in: wanted.deviceClass) }
            return Problem(
                .deviceMissing, assignment,
                "\(name) is not there: expected \(expectation(wanted)), found \(nothing(wanted))\(detail.map { ": \($0)" } ?? "")",
                remedy: "Connect the device, or remove the assignment: \(command("unassign", assignment)).",
                isLate: true)
        }
    }

    static func sourceUnknown(_ assignment: Assignment, known: [VMName]) -> Problem {
        Problem(
            .sourceUnknown, assignment,
            """
            \(subject(assignment)) is not there: \(assignment.device.source) does not expose devices on this host \
            (known: \(known.map(\.description).joined(separator: ", ")))
            """,
            remedy: "Correct the source, or remove the assignment: \(command("unassign", assignment)).")
    }

    static func usedByHost(_ assignment: Assignment, _ device: Device, _ use: Device.Use) -> Problem {
        if case .exported(let vm) = use {
            return Problem(
                .exported, assignment, "\(subject(assignment)) is exported already to VM \(vm)",
                remedy: "Stop VM \(vm), or detach the device from it.")
        }
        if case .atSource(let what) = use {
            return Problem(
                .usedBySource, assignment,
                "\(subject(assignment)) is in use by VM \(device.source) itself: \(what)",
                remedy: "End that use in VM \(device.source).")
        }
        // A use of a part names the part itself.
        let what = if case .part = use { use.description } else { "\(device.name) is \(use)" }
        return Problem(
            .usedByHost, assignment, "\(subject(assignment)) is in use by the host: \(what)",
            remedy: use.remedy(for: device.block?.node ?? device.name))
    }

    static func readOnly(_ assignment: Assignment, _ device: Device) -> Problem {
        Problem(
            .deviceReadOnly, assignment,
            "\(subject(assignment)) can only be read, and the assignment says read-only=no",
            remedy: "Assign it with read-only=yes, or make \(device.name) writable.")
    }

    static func taken(_ assignment: Assignment, _ device: Device, by holders: [LockRecord]) -> Problem {
        let who = holders.map { holder in
            holder.canonical.key == device.canonical.key
                ? "VM \(holder.vm)"
                : "VM \(holder.vm), which has \(holder.device.deviceClass) device \(holder.device)"
        }
        let vm = holders.first?.vm.description ?? "that VM"
        return Problem(
            .taken, assignment,
            "\(subject(assignment)) is taken by \(who.isEmpty ? "another VM" : who.joined(separator: " and "))",
            remedy:
                "Stop \(vm), or detach the device from it; 'vmdevctl \(device.deviceClass) list' shows who has what."
        )
    }

    /// What we keep for a VM below /run/vmdev cannot be written.
    static func unwritable(_ vm: VMName, _ error: SystemCallError) -> Problem {
        Problem(
            error.isPermission ? .permission : .configuration, nil, "VM \(vm): \(error)",
            remedy: error.isPermission ? "Run as root." : "See that /run/vmdev can be written.")
    }

    static func held(_ assignment: Assignment, by vms: [VMName]) -> Problem {
        let names = vms.map { "VM \($0)" }.joined(separator: " and ")
        return Problem(
            .taken, assignment, "\(subject(assignment)) is attached to \(names)",
            remedy:
                "Stop \(names), or detach the device from it; 'vmdevctl \(assignment.device.deviceClass) list' shows who has what."
        )
    }

    static func nobodyAsks(_ assignment: Assignment) -> Problem {
        Problem(
            .agentMissing, assignment,
            "\(subject(assignment)) is there and the user is to be asked whether to attach it, and nobody is there to ask: no device agent runs on the desktop",
            remedy: """
                Start the VM from a desktop session, or change the mode: \(command("assign --auto-attach", assignment)).
                """, isGrave: true)
    }

    static func sourceNotStarted(_ assignment: Assignment, _ error: HypervisorError) -> Problem {
        let source = assignment.device.source
        return Problem(
            error.kind == .unreachable ? .unreachable : .sourceNotRunning, assignment,
            "\(subject(assignment)) is not there: source VM \(source) could not be started: \(error.message)",
            remedy: error.remedy ?? "See why: qvm-start \(source)")
    }

    static func overlap(_ assignment: Assignment, _ device: Device, _ other: Device) -> Problem {
        Problem(
            .overlap, assignment,
            "\(subject(assignment)) overlaps with \(other.name), which is assigned to the same VM",
            remedy: "Remove one of the two assignments: \(command("unassign", assignment)).")
    }

    init(_ failure: LockFolder.Failure, _ assignment: Assignment, _ device: Device) {
        switch failure {
        case .taken(let holders): self = .taken(assignment, device, by: holders)
        case .system(let error):
            self.init(
                error.isPermission ? .permission : .configuration, assignment,
                "\(Problem.subject(assignment)) cannot be locked: \(error)",
                remedy: error.isPermission ? "Run as root." : "See that /run/vmdev/locks can be written.")
        }
    }

    /// "work: block device dom0:sda1".
    static func subject(_ assignment: Assignment) -> String {
        "VM \(assignment.target): \(name(assignment))"
    }

    /// "block device dom0:sda1".
    static func name(_ assignment: Assignment) -> String {
        let wanted = assignment.device
        let place = wanted.port.map { "\(wanted.source):\($0)" } ?? wanted.description
        return "\(wanted.deviceClass) device \(place)"
    }

    private static func expectation(_ wanted: DeviceReference) -> String {
        wanted.identity?.description
            ?? "any \(wanted.deviceClass) device in port \(wanted.port?.description ?? "*")"
    }

    private static func nothing(_ wanted: DeviceReference) -> String {
        guard let port = wanted.port else { return "no such device" }
        return "nothing in port \(port)" + (wanted.identity == nil ? "" : ", nor that device in another")
    }

    private static func identify(_ device: Device) -> String {
        let identity = device.identities.first?.description ?? "a device without identity"
        return device.title.isEmpty || device.title == identity ? identity : "\(identity) (\(device.title))"
    }

    private static func command(_ action: String, _ assignment: Assignment) -> String {
        "vmdevctl \(assignment.device.deviceClass) \(action) \(assignment.target) \(assignment.device)"
    }
}
