internal import Applying
internal import Assignments
public import Devices
internal import HostDevices
internal import Hypervisors
internal import Qubes

extension Controller {
    /// What a stored assignment pins down.
    public enum Pin: Sendable {
        /// Port and identity, where the device is there to tell it.
        case both
        /// The port: whatever is plugged there; by its stable name where it has one and something is in it to tell it.
        case port
        /// The identity: wherever it is plugged.
        case identity

        /// Whether a stored assignment pins that down and nothing else; `both` concerns all of them.
        func concerns(_ stored: DeviceReference) -> Bool {
            switch self {
            case .both: true
            case .port: stored.identity == nil
            case .identity: stored.port == nil
            }
        }
    }

    /// Stores an assignment and answers what is worth saying of it. The device need not be there.
    public func assign(
        _ wanted: DeviceReference, to target: VMName, mode: AssignmentMode, options: DeviceOptions, pin: Pin
    ) throws(Failure) -> String {
        let device = try present(wanted)
        let reference = try pinned(wanted, device, pin)
        let assignment: Assignment
        do {
            assignment = try Assignment(target: target, device: reference, mode: mode, options: options)
        } catch {
            throw Failure(error)
        }
        try refuseUnsupported(assignment)
        let isMissed = device == nil && mode == .required
        return try store(assignment) + (isMissed ? " It is not there now; the next start would fail." : "")
    }

    /// Removes stored assignments; without `device` all of the class. `only` those by the port alone, or by the identity
    /// alone, unless it says both. Answers what was removed.
    public func unassign(
        _ device: DeviceReference?, of deviceClass: DeviceClass, from target: VMName, only pin: Pin = .both
    ) throws(Failure) -> [Assignment] {
        let plugged = device.flatMap(pluggedIn)
        let removed = try remove(of: deviceClass, from: target) { assignment in
            guard pin.concerns(assignment.device) else { return false }
            return device.map { names($0, assignment.device, plugged: plugged) } ?? true
        }
        if let device, removed.isEmpty {
            throw Failure(
                "VM \(target) has no assignment of \(deviceClass) device \(device)",
                remedy: "'vmdevctl \(deviceClass) list --assignments \(target)' shows those that it has.",
                status: .unavailable)
        }
        return removed
    }

    func store(_ assignment: Assignment) throws(Failure) -> String {
        let subject = "\(assignment.device.deviceClass) device \(assignment.device)"
        if let objection = store.objection(to: assignment.mode) { throw Failure(objection, status: .usage) }
        try refuseDoubled(assignment)
        do {
            switch try store.add(assignment) {
            case .added: return "VM \(assignment.target): \(subject) is assigned (\(assignment.mode))."
            case .alreadySo: return "VM \(assignment.target): \(subject) is assigned already (\(assignment.mode))."
            case .changed:
                return "VM \(assignment.target): the assignment of \(subject) is changed (\(assignment.mode))."
            }
        } catch {
            throw Failure(Problem(error))
        }
    }

    func remove(
        of deviceClass: DeviceClass, from target: VMName, where isUnwanted: (Assignment) -> Bool
    ) throws(Failure) -> [Assignment] {
        do {
            return try store.remove(from: target) { $0.device.deviceClass == deviceClass && isUnwanted($0) }
        } catch {
            throw Failure(Problem(error))
        }
    }

    func refuseUnsupported(_ assignment: Assignment) throws(Failure) {
        if let objection = hypervisor.objection(to: assignment.options, of: assignment.device.deviceClass) {
            throw Failure(Problem(objection))
        }
    }

    /// Whether what the administrator wrote names that device: same source and port, or same identity; `plugged` is what
    /// is in the port now, whose stable name may be what is stored.
    func names(_ wanted: DeviceReference, _ stored: DeviceReference, plugged: Device? = nil) -> Bool {
        guard wanted.source == stored.source else { return false }
        if wanted == stored { return true }
        if stored.port == nil, let identity = stored.identity, identity == plugged?.stablePort { return true }
        if let port = wanted.port, port == stored.port {
            return wanted.identity == nil || stored.identity == nil || wanted.identity == stored.identity
        }
        return wanted.port == nil && wanted.identity == stored.identity
    }

    /// The device that is meant, if it is there.
    func present(_ wanted: DeviceReference) throws(Failure) -> Device? {
        guard let source = source(wanted.source) else {
            throw Failure(
                "\(wanted.source) does not expose devices on this host",
                remedy: "Known sources: \(sources.map(\.name.description).joined(separator: ", ")).",
                status: .unavailable)
        }
        let candidates: [Device]
        do { candidates = try source.candidates(for: wanted) } catch {
            // On Qubes OS a halted VM exposes nothing, and what it will expose can be assigned all the same.
            if qubes != nil, error.kind == .notRunning { return nil }
            if error.kind == .unknown { throw .noSuchVM(wanted.source) }
            throw Failure(
                error.message, remedy: error.remedy,
                status: error.kind == .unreachable ? .unreachable : .unavailable)
        }
        if case .found(let device, _) = wanted.match(among: candidates, follow: qubes == nil) { return device }
        return nil
    }

    /// What is in the port that is named; nil when no port is, or when nothing can be found out.
    func pluggedIn(_ wanted: DeviceReference) -> Device? {
        wanted.port == nil ? nil : (try? present(wanted)) ?? nil
    }

    /// One device is assigned to a VM by one row: a second one in other words would only confuse.
    private func refuseDoubled(_ assignment: Assignment) throws(Failure) {
        let rows: [Assignment]
        do { rows = try store.assignments(of: assignment.target).assignments } catch {
            throw Failure(Problem(error))
        }
        let double = rows.first {
            $0.device.deviceClass == assignment.device.deviceClass && $0.device != assignment.device
                && names($0.device, assignment.device)
        }
        guard let double else {
            if qubes != nil { try refuseClashes(assignment) }
            return
        }
        throw Failure(
            "VM \(assignment.target) has an assignment of that device already, as \(double.device)",
            remedy:
                "Remove it first: vmdevctl \(double.device.deviceClass) unassign \(double.target) \(double.device).",
            status: .usage)
    }

    /// Two disks of one name in the guest are one too many.
    func refuseClashes(_ assignment: Assignment) throws(Failure) {
        guard assignment.device.deviceClass == .block else { return }
        let rows: [Assignment]
        do { rows = try store.assignments(of: assignment.target).assignments } catch {
            throw Failure(Problem(error))
        }
        let others = rows.filter { !$0.isSameWish(as: assignment) }
        guard let clash = FrontendNames(others + [assignment]).clashes.first(where: { $0.assignment == assignment })
        else { return }
        throw Failure(clash.message, remedy: clash.remedy, status: .tableWrong)
    }

    /// What is stored for a device in that port that is to be had at each start. The identity that Qubes OS has for a disk is
    /// that of the stick or drive around it, and changes with its port: it is stored only where somebody asks for it.
    func standard(_ wanted: DeviceReference, _ port: Port, _ identity: DeviceIdentity?) -> DeviceReference {
        let isTelling = qubes == nil || wanted.identity != nil || wanted.deviceClass != .block
        return DeviceReference(
            wanted.deviceClass, source: wanted.source, port: port, identity: isTelling ? identity : nil)
    }

    private func pinned(_ wanted: DeviceReference, _ device: Device?, _ pin: Pin) throws(Failure) -> DeviceReference
    {
        let identity = wanted.identity ?? device?.identities.first
        switch pin {
        case .both:
            guard let port = wanted.port else { return wanted }
            return standard(wanted, port, identity)
        case .port:
            if let stable = device?.stablePort {
                return DeviceReference(wanted.deviceClass, source: wanted.source, identity: stable)
            }
            guard let port = wanted.port ?? device?.port else {
                throw Failure(
                    "\(wanted) is in no port now", remedy: "Connect it, or name the port.", status: .unavailable)
            }
            return DeviceReference(wanted.deviceClass, source: wanted.source, port: port)
        case .identity:
            guard let identity, qubes == nil || identity.isTellingOnQubes else {
                throw Failure(
                    "\(wanted) has no identity of its own, or is not there to tell it",
                    remedy: "Assign it by its port: --port.", status: .unavailable)
            }
            return DeviceReference(wanted.deviceClass, source: wanted.source, identity: identity)
        }
    }
}

extension DeviceIdentity {
    /// Whether it says more than that nothing is known: Qubes OS writes `:None` and `0000:0000::?******` for that.
    fileprivate var isTellingOnQubes: Bool {
        !(description.hasPrefix(":") || description.hasPrefix("0000:0000::"))
    }
}
