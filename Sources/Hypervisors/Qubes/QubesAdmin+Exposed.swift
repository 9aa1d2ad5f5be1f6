public import Devices

extension QubesAdmin {
    /// What one VM exposes, class by class, and whether it is there to expose anything.
    public struct Exposed: Sendable {
        /// The VM's state; nil when there is no such VM.
        public let domain: Domain?
        /// The answer of each class, in their order.
        public let lists: [Result<List<QubesDevice>, QubesError>]
    }

    /// What a VM exposes of some classes, and where it is in its life: all asked in one turn, because a VM that does not run
    /// answers with an empty list, and one that does not exist with nothing at all.
    public func exposed(by source: VMName, _ classes: [DeviceClass]) throws(QubesError) -> Exposed {
        let list = AdminCall("admin.vm.List", to: .host)
        let calls = classes.map { AdminCall("admin.vm.device.\($0).Available", to: source) }
        let answers = perform([list] + calls)
        guard let first = answers.first, answers.count == calls.count + 1 else { throw .late(list) }
        let domains = try QubesAdmin.domains(try first.get(), of: list)
        let lists = zip(classes, zip(calls, answers.dropFirst())).map { deviceClass, answer in
            answer.1.flatMap { data in
                QubesAdmin.list(data, of: answer.0) { row throws(SyntaxError) in
                    try QubesDevice(row, of: deviceClass, source: source)
                }
            }
        }
        return Exposed(domain: domains.first { $0.name == source }, lists: lists)
    }
}
