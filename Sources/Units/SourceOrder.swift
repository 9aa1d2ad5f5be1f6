public import Devices

/// Which VM's unit has to come up before which: a VM whose device another VM exposes comes after that VM.
public struct SourceOrder: Sendable {
    /// One VM's need of another.
    public struct Edge: Hashable, Sendable {
        /// The VM that needs a device.
        public let target: VMName
        /// The VM that exposes it.
        public let source: VMName
        /// Whether every device that it exposes to the target is required, so that without it the target cannot start.
        public let isRequired: Bool
    }

    /// The needs that can be met in some order, by target and source.
    public let edges: [Edge]
    /// Circles of needs, each from a VM back to itself; the last need of each is left out of `edges`, so that no VM waits
    /// for itself.
    public let cycles: [[VMName]]

    /// Finds the order; the host itself is always there and needs none.
    public init(_ assignments: some Sequence<Assignment>) {
        var needs: [VMName: [VMName: Bool]] = [:]
        for assignment in assignments where !assignment.device.source.isHost {
            let isRequired = assignment.mode == .required
            let before = needs[assignment.target]?[assignment.device.source]
            needs[assignment.target, default: [:]][assignment.device.source] = (before ?? true) && isRequired
        }
        var walk = Walk(needs: needs)
        for target in needs.keys.sorted() { walk.visit(target) }
        edges = walk.edges.sorted { ($0.target, $0.source) < ($1.target, $1.source) }
        cycles = walk.cycles
    }

    /// A walk along all needs, deepest first, that leaves out each one that leads back to where it came from. It keeps its
    /// own stack: a chain of needs may be longer than the program's.
    private struct Walk {
        let needs: [VMName: [VMName: Bool]]
        var edges: [Edge] = []
        var cycles: [[VMName]] = []
        private var done: Set<VMName> = []

        init(needs: [VMName: [VMName: Bool]]) { self.needs = needs }

        mutating func visit(_ start: VMName) {
            guard !done.contains(start) else { return }
            var path = [start]
            var places = [start: 0]
            var open = [sources(of: start)]
            while let target = path.last {
                guard let source = open[open.count - 1].popLast() else {
                    done.insert(target)
                    places[target] = nil
                    path.removeLast()
                    open.removeLast()
                    continue
                }
                if let begin = places[source] {
                    cycles.append(path[begin...] + [source])
                    continue
                }
                edges.append(
                    Edge(target: target, source: source, isRequired: needs[target]?[source] ?? false))
                guard !done.contains(source) else { continue }
                places[source] = path.count
                path.append(source)
                open.append(sources(of: source))
            }
        }

        /// In reverse, because they are taken from the end.
        private func sources(of target: VMName) -> [VMName] { (needs[target] ?? [:]).keys.sorted(by: >) }
    }
}
