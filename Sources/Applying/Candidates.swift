internal import Devices
internal import HostDevices

/// What the sources of some assignments expose: each source is asked once for all that concerns it.
struct Candidates {
    private var answers: [VMName: Result<[Int: [Device]], SourceError>] = [:]
    private let sources: [any DeviceSource]

    init(_ assignments: [Assignment], sources: [any DeviceSource]) {
        self.sources = sources
        for source in sources {
            let wanted = assignments.enumerated().filter { $0.element.device.source == source.name }
            guard !wanted.isEmpty else { continue }
            do {
                let found = try source.candidates(for: wanted.map(\.element.device))
                answers[source.name] = .success(
                    Dictionary(zip(wanted.map(\.offset), found), uniquingKeysWith: { first, _ in first }))
            } catch {
                answers[source.name] = .failure(error)
            }
        }
    }

    /// The devices to choose from for the assignment with that index.
    func of(_ index: Int, _ assignment: Assignment) throws(Problem) -> (any DeviceSource, [Device]) {
        guard let source = sources.first(where: { $0.name == assignment.device.source }),
            let answer = answers[source.name]
        else { throw .sourceUnknown(assignment, known: sources.map(\.name)) }
        switch answer {
        case .success(let devices): return (source, devices[index] ?? [])
        case .failure(let error): throw Problem(error, assignment)
        }
    }
}
