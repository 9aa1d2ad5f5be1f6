internal import Devices
internal import HostDevices
internal import Platform

/// Waits at the start of a VM for devices that are only late, and finds out anew what its rows mean whenever something is
/// heard of them.
struct Waiting {
    /// What the rows mean in the end.
    struct Result {
        let items: [Resolution.Item]
        let problems: [Problem]
        /// How long each that was late and then came was waited for.
        let waits: [DeviceReference: Duration]
    }

    private let applier: Applier
    private let target: VMName
    private var ears: [(source: VMName, events: any DeviceEvents)] = []
    /// DeviceTimeoutSec=, once it was asked for.
    private var standard: Duration?
    /// Those of which it was said that they are waited for.
    private var awaited: Set<DeviceReference> = []
    private var waits: [DeviceReference: Duration] = [:]

    init(applier: Applier, target: VMName) {
        self.applier = applier
        self.target = target
    }

    /// Resolves the rows, and again until nothing of them is late any more or nothing that is late can come in time.
    mutating func resolve(_ assignments: [Assignment]) -> Result {
        var resolution = applier.resolve(assignments)
        if resolution.problems.contains(where: \.isLate) {
            listen(for: assignments)
            // What came between the first look and the listening would be missed.
            if !ears.isEmpty { resolution = applier.resolve(assignments) }
        }
        let watch = Stopwatch()
        while true {
            let elapsed = watch.elapsed
            for item in resolution.items where awaited.contains(item.assignment.device) {
                waits[item.assignment.device] = waits[item.assignment.device] ?? elapsed
            }
            let open = open(resolution.problems, after: elapsed)
            guard let next = open.map(\.timeout).min() else { break }
            // What does not heal by itself, or can come too late only, is not made better by waiting for the rest.
            let isHopeless = resolution.problems.contains { problem in
                !problem.isTolerable && !open.contains { $0.assignment == problem.assignment }
            }
            if isHopeless { break }
            tell(open, after: elapsed)
            guard let isHeard = wait(atMost: min(next - elapsed, .seconds(1))) else { break }
            // The last look does not depend on what was heard.
            if isHeard || watch.elapsed >= next { resolution = applier.resolve(assignments) }
        }
        return Result(
            items: resolution.items, problems: resolution.problems.map { told($0, after: watch.elapsed) },
            waits: waits)
    }

    // MARK: What is late

    private typealias Late = (assignment: Assignment, timeout: Duration)

    /// Those that are late and whose time is not up.
    private mutating func open(_ problems: [Problem], after elapsed: Duration) -> [Late] {
        var open: [Late] = []
        for problem in problems where problem.isLate {
            guard let assignment = problem.assignment,
                ears.contains(where: { $0.source == assignment.device.source })
            else { continue }
            let timeout = timeout(of: assignment)
            if timeout > elapsed { open.append((assignment, timeout)) }
        }
        return open
    }

    private mutating func timeout(of assignment: Assignment) -> Duration {
        if let timeout = assignment.options.timeout { return timeout }
        let timeout = standard ?? applier.standardWait()
        standard = timeout
        return timeout
    }

    private mutating func told(_ problem: Problem, after elapsed: Duration) -> Problem {
        guard problem.isLate, let assignment = problem.assignment, awaited.contains(assignment.device) else {
            return problem
        }
        return problem.after(waiting: min(elapsed, timeout(of: assignment)))
    }

    // MARK: Listening

    private mutating func listen(for assignments: [Assignment]) {
        for source in applier.sources(for: assignments) {
            let references = assignments.filter { $0.device.source == source.name && $0.options.timeout != .zero }
                .map(\.device)
            guard !references.isEmpty else { continue }
            do throws(SourceError) {
                if let events = try source.listen(for: references) { ears.append((source.name, events)) }
            } catch {
                say("devices of \(source.name) are not waited for: \(sentences(error.message, error.remedy))")
            }
        }
    }

    /// Answers whether something was heard that may matter; nil when nothing more can be heard.
    private mutating func wait(atMost time: Duration) -> Bool? {
        var isHeard = false
        do {
            let ready = try readable(among: ears.map(\.events.descriptor), until: Deadline(after: time))
            for index in ready where ears.indices.contains(index) {
                if try ears[index].events.take() { isHeard = true }
            }
            return isHeard
        } catch {
            say("its devices cannot be waited for: \(error)")
            return nil
        }
    }

    // MARK: Telling

    private mutating func tell(_ open: [Late], after elapsed: Duration) {
        for (assignment, timeout) in open where awaited.insert(assignment.device).inserted {
            applier.reporter.report(
                Outcome(
                    .waiting, target: target, assignment: assignment,
                    "\(Problem.subject(assignment)) is not there yet, and is waited for, \(atMost(timeout))"))
        }
        guard let first = open.max(by: { $0.timeout < $1.timeout }) else { return }
        let others = open.count > 1 ? " and \(open.count - 1) more" : ""
        let left = first.timeout - elapsed
        let time = first.timeout == TimeSpan.infinity.duration ? "" : ", \(spoken(left + .milliseconds(999))) left"
        // This is said again each second, so the rest is for what comes after the wait.
        applier.reporter.progress(
            "waiting for \(Problem.name(first.assignment))\(others)\(time)", needing: .seconds(60))
    }

    private func say(_ text: String) {
        applier.reporter.report(Outcome(.caution, target: target, "VM \(target): \(text)"))
    }
}
