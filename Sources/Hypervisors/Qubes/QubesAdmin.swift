public import Devices
public import Platform

/// The calls of Qubes's Admin API that we make, each with its answer understood.
public struct QubesAdmin: Sendable {
    let transport: any AdminTransport
    /// How long qubesd may take for one answer.
    public let timeout: Duration

    /// Asks over `transport`.
    public init(over transport: any AdminTransport, timeout: Duration) {
        self.transport = transport
        self.timeout = timeout
    }

    /// What a list came to: the rows that were understood, and why the others were not.
    public struct List<Row: Sendable>: Sendable {
        /// The rows.
        public var rows: [Row] = []
        /// The rows that were not understood, each with the device that it names, as far as that can be made out.
        public var faults: [(head: String, error: SyntaxError)] = []

        /// A list of nothing.
        public init() {}
    }

    /// A VM and qubesd's word for where it is in its life (`Running`, `Halted`, `Transient`, …).
    public struct Domain: Hashable, Sendable {
        /// The VM.
        public let name: VMName
        /// `Running`.
        public let state: String

        /// Whether it runs as far as devices are concerned.
        public var isRunning: Bool { state == "Running" }
    }

    /// All VMs, dom0 included.
    public func domains() throws(QubesError) -> [Domain] {
        let call = AdminCall("admin.vm.List", to: .host)
        return try QubesAdmin.domains(try self.call(call), of: call)
    }

    /// Where a VM is in its life.
    public func state(of vm: VMName) throws(QubesError) -> String {
        let call = AdminCall("admin.vm.CurrentState", to: vm)
        let row = try QubesAdmin.row(try self.call(call), of: call)
        guard let state = row["power_state"] else {
            throw .notUnderstood(call, "no power_state in it")
        }
        return state
    }

    /// What VMs expose, by class: one call for each, all at a time, in their order.
    public func available(
        _ wanted: [(source: VMName, deviceClass: DeviceClass)]
    ) -> [Result<List<QubesDevice>, QubesError>] {
        let calls = wanted.map { AdminCall("admin.vm.device.\($0.deviceClass).Available", to: $0.source) }
        return zip(wanted, zip(calls, perform(calls))).map { wanted, answer in
            answer.1.flatMap { data in
                QubesAdmin.list(data, of: answer.0) { row throws(SyntaxError) in
                    try QubesDevice(row, of: wanted.deviceClass, source: wanted.source)
                }
            }
        }
    }

    /// What VMs have now, by class: one call for each, all at a time, in their order.
    public func attached(
        _ wanted: [(vm: VMName, deviceClass: DeviceClass)]
    ) -> [Result<List<QubesLink>, QubesError>] { links("Attached", wanted) }

    /// What is stored for VMs, by class: one call for each, all at a time, in their order.
    public func assigned(
        _ wanted: [(vm: VMName, deviceClass: DeviceClass)]
    ) -> [Result<List<QubesLink>, QubesError>] { links("Assigned", wanted) }

    /// Stores an assignment; one of the same device must not be there.
    public func assign(_ assignment: Assignment) throws(QubesError) {
        try stored(
            AdminCall(
                "admin.vm.device.\(assignment.device.deviceClass).Assign", assignment.device.adminArgument,
                to: assignment.target,
                payload: assignment.device.adminPayload(
                    mode: assignment.mode.rawValue, options: assignment.options)), assignment.target)
    }

    /// Removes a stored assignment.
    public func unassign(_ device: DeviceReference, from vm: VMName) throws(QubesError) {
        try stored(
            AdminCall("admin.vm.device.\(device.deviceClass).Unassign", device.adminArgument, to: vm), vm)
    }

    /// Changes what happens at a start without the device.
    public func setMode(_ mode: AssignmentMode, of device: DeviceReference, to vm: VMName) throws(QubesError) {
        try stored(
            AdminCall(
                "admin.vm.device.\(device.deviceClass).Set.assignment", device.adminArgument, to: vm,
                payload: mode.rawValue), vm)
    }

    /// Gives a running VM a device. The identity belongs into the reference: qubesd looks a device without one up in no
    /// deny list, and refuses it.
    public func attach(_ device: DeviceReference, to vm: VMName, options: DeviceOptions) throws(QubesError) {
        try stored(
            AdminCall(
                "admin.vm.device.\(device.deviceClass).Attach",
                device.identity == nil ? device.adminPortArgument : device.adminArgument, to: vm,
                payload: device.adminPayload(mode: "manual", options: options)), vm)
    }

    /// Takes a device away from a running VM.
    public func detach(_ device: DeviceReference, from vm: VMName) throws(QubesError) {
        _ = try call(
            AdminCall("admin.vm.device.\(device.deviceClass).Detach", device.adminPortArgument, to: vm))
    }

    /// Starts a VM and waits until it is up, as far as qubesd does.
    public func start(_ vm: VMName, until deadline: Deadline) throws(QubesError) {
        try silent(AdminCall("admin.vm.Start", to: vm), until: deadline)
    }

    /// A property of a VM as text, empty where it is none; nil where it may not be asked, or there is no such property.
    public func property(_ name: String, of vm: VMName) -> String? {
        let call = AdminCall("admin.vm.property.Get", name, to: vm)
        // `default=True type=vm sys-audio`
        guard let data = try? self.call(call), let text = String(validating: data, as: UTF8.self) else {
            return nil
        }
        let words = text.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
        guard words.count == 3, words[0].hasPrefix("default="), words[1].hasPrefix("type=") else { return nil }
        return printable(words[2], limit: 200)
    }

    /// Ends a VM at once.
    public func kill(_ vm: VMName) throws(QubesError) { _ = try call(AdminCall("admin.vm.Kill", to: vm)) }

    /// Begins to listen to what happens to a VM.
    public func events(of vm: VMName) throws(QubesError) -> AdminStream {
        try transport.open(AdminCall("admin.Events", to: vm), until: Deadline(after: timeout))
    }

    /// Waits until `isSo` says yes, asked now and after each event of the VM; false when the deadline came first.
    public func wait(
        on vm: VMName, until deadline: Deadline, for isSo: () throws(QubesError) -> Bool
    ) throws(QubesError) -> Bool {
        if try isSo() { return true }
        // The first of the events is that they are on: what happened before it is asked for anew.
        let events = try transport.open(AdminCall("admin.Events", to: vm), until: deadline)
        while try events.next(until: deadline) { if try isSo() { return true } }
        return try isSo()
    }

    // MARK: What calls have in common

    func perform(_ calls: [AdminCall]) -> [Result<[UInt8], QubesError>] {
        transport.perform(calls, until: Deadline(after: timeout))
    }

    private func call(_ call: AdminCall) throws(QubesError) -> [UInt8] {
        guard let result = perform([call]).first else { throw .late(call) }
        return try result.get()
    }

    private func silent(_ call: AdminCall, until deadline: Deadline) throws(QubesError) {
        guard let result = transport.perform([call], until: deadline).first else { throw .late(call) }
        _ = try result.get()
    }

    private func links(
        _ verb: String, _ wanted: [(vm: VMName, deviceClass: DeviceClass)]
    ) -> [Result<List<QubesLink>, QubesError>] {
        let calls = wanted.map { AdminCall("admin.vm.device.\($0.deviceClass).\(verb)", to: $0.vm) }
        var answers = perform(calls)
        // Before 4.3 there was one list for both, and these calls have an empty answer.
        let refused = answers.indices.filter { index in
            if case .failure(let error) = answers[index] { error.kind == .noAnswer } else { false }
        }
        if !refused.isEmpty {
            let old = refused.map { index in
                AdminCall("admin.vm.device.\(wanted[index].deviceClass).List", to: wanted[index].vm)
            }
            for (index, answer) in zip(refused, perform(old)) where (try? answer.get()) != nil {
                answers[index] = answer
            }
        }
        return zip(wanted, zip(calls, answers)).map { wanted, answer in
            answer.1.flatMap { data in
                QubesAdmin.list(data, of: answer.0) { row throws(SyntaxError) in
                    try QubesLink(row, of: wanted.deviceClass, target: wanted.vm)
                }
            }
        }
    }

    /// A change of what is stored, which releases before 4.3 do not know.
    private func stored(_ call: AdminCall, _ vm: VMName) throws(QubesError) {
        do { _ = try self.call(call) } catch {
            guard error.kind == .noAnswer, try isBefore43(vm) else { throw error }
            throw QubesError(
                .unsupported,
                "\(call.name): this Qubes OS is older than 4.3, and can store no assignment apart from an attachment",
                remedy: "Use its own qvm-device attach, with --persistent, or upgrade dom0 to Qubes OS 4.3.")
        }
    }

    func isBefore43(_ vm: VMName) throws(QubesError) -> Bool {
        let answers = perform([
            AdminCall("admin.vm.device.block.Assigned", to: vm), AdminCall("admin.vm.device.block.List", to: vm),
        ])
        guard let new = answers.first, let old = answers.last else { return false }
        return (try? new.get()) == nil && (try? old.get()) != nil
    }

    static func domains(_ data: [UInt8], of call: AdminCall) throws(QubesError) -> [Domain] {
        var domains: [Domain] = []
        for line in try lines(data, of: call) {
            do throws(SyntaxError) {
                let row = try QubesRow(parsing: line, hasHead: true)
                domains.append(Domain(name: try VMName(row.head), state: row["state"] ?? "unknown"))
            } catch {
                throw .notUnderstood(call, "\(error)")
            }
        }
        return domains
    }

    private static func row(_ data: [UInt8], of call: AdminCall) throws(QubesError) -> QubesRow {
        do { return try QubesRow(parsing: data, hasHead: false) } catch { throw .notUnderstood(call, "\(error)") }
    }

    /// A row that is not understood is its own device's problem: whatever a device calls itself, the others are seen.
    static func list<Row>(
        _ data: [UInt8], of call: AdminCall, _ read: (QubesRow) throws(SyntaxError) -> Row
    ) -> Result<List<Row>, QubesError> {
        do throws(QubesError) {
            var list = List<Row>()
            for line in try lines(data, of: call) {
                do throws(SyntaxError) {
                    list.rows.append(try read(try QubesRow(parsing: line, hasHead: true)))
                } catch {
                    let head = printable(line.prefix { $0 != UInt8(ascii: " ") }, limit: 300)
                    list.faults.append((head, error))
                }
            }
            return .success(list)
        } catch {
            return .failure(error)
        }
    }

    /// Every line has its end, so that one that was cut off is seen.
    private static func lines(_ data: [UInt8], of call: AdminCall) throws(QubesError) -> [ArraySlice<UInt8>] {
        guard data.isEmpty || data.last == UInt8(ascii: "\n") else {
            throw .notUnderstood(call, "its last line was cut off")
        }
        return data.split(separator: UInt8(ascii: "\n"))
    }
}

extension QubesError {
    static func notUnderstood(_ call: AdminCall, _ why: String) -> QubesError {
        QubesError(
            .notUnderstood, "\(call.name): qubesd's answer is not understood: \(why)",
            remedy: "Is it qubesd of Qubes OS 4.2 or later?")
    }
}
