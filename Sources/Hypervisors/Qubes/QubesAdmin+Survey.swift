public import Devices

extension QubesAdmin {
    /// All that is to be known of the devices of one class on the whole machine.
    public struct Survey: Sendable {
        /// All VMs, dom0 included.
        public let domains: [Domain]
        /// What each VM that is up exposes.
        public let available: [Answer<QubesDevice>]
        /// What each VM that is up has.
        public let attached: [Answer<QubesLink>]
        /// What is stored for each VM; empty unless it was asked for.
        public let assigned: [Answer<QubesLink>]
    }

    /// What was answered about one VM.
    public struct Answer<Row: Sendable>: Sendable {
        /// The VM.
        public let vm: VMName
        /// The rows, or why there are none.
        public let list: Result<List<Row>, QubesError>
    }

    /// Asks qubesd in two turns, each as long as its slowest answer: which VMs there are and which calls this release knows,
    /// then everything else at a time.
    public func survey(_ deviceClass: DeviceClass, withAssignments: Bool) throws(QubesError) -> Survey {
        let list = AdminCall("admin.vm.List", to: .host)
        // Before 4.3 there was one list for what is stored and what is there; a call that is not known is not answered.
        let probe = AdminCall("admin.vm.device.\(deviceClass).Attached", to: .host)
        let first = perform([list, probe])
        guard let names = first.first, let release = first.last, first.count == 2 else { throw .late(list) }
        let domains = try QubesAdmin.domains(try names.get(), of: list)
        let isOld = if case .failure(let error) = release { error.kind == .noAnswer } else { false }

        let up = domains.filter { $0.state != "Halted" || $0.name.isHost }.map(\.name)
        let targets = domains.map(\.name).filter { !$0.isHost }
        let running = targets.filter(up.contains)
        let live = isOld ? "List" : "Attached"
        // The old list has both, so that it is asked for once.
        let wanted: [(verb: String, vms: [VMName])] =
            isOld
            ? [("Available", up), (live, withAssignments ? targets : running)]
            : [("Available", up), (live, running), ("Assigned", withAssignments ? targets : [])]
        let calls = wanted.flatMap { verb, vms in
            vms.map { AdminCall("admin.vm.device.\(deviceClass).\(verb)", to: $0) }
        }
        let answers = Array(zip(calls, perform(calls)))
        let available = QubesAdmin.answers(answers.prefix(up.count)) { row, vm throws(SyntaxError) in
            try QubesDevice(row, of: deviceClass, source: vm)
        }
        let links = { (part: ArraySlice<(AdminCall, Result<[UInt8], QubesError>)>) in
            QubesAdmin.answers(part) { row, vm throws(SyntaxError) in
                try QubesLink(row, of: deviceClass, target: vm)
            }
        }
        let rest = answers.dropFirst(up.count)
        guard isOld else {
            return Survey(
                domains: domains, available: available, attached: links(rest.prefix(running.count)),
                assigned: links(rest.dropFirst(running.count)))
        }
        // A VM that is down has but what is stored; of one that is up the list does not tell what is there now.
        let all = links(rest)
        return Survey(
            domains: domains, available: available, attached: all.filter { running.contains($0.vm) },
            assigned: withAssignments ? all : [])
    }

    private static func answers<Row>(
        _ part: ArraySlice<(AdminCall, Result<[UInt8], QubesError>)>,
        _ read: (QubesRow, VMName) throws(SyntaxError) -> Row
    ) -> [Answer<Row>] {
        part.map { call, answer in
            let list = answer.flatMap { data in
                QubesAdmin.list(data, of: call) { row throws(SyntaxError) in try read(row, call.destination) }
            }
            return Answer(vm: call.destination, list: list)
        }
    }
}
