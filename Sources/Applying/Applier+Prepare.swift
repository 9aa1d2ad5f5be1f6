internal import Assignments
public import Devices
internal import HostDevices
internal import Hypervisors
internal import Platform

/// Before the start of a VM that is started whole.
extension Applier {
    /// How long a source VM may take to come up.
    static let sourceStartTime = Duration.seconds(180)

    /// Looks whether a VM that is about to be started would get all that it requires, and answers how the program ends: not
    /// with success if it would not. Devices that are late are waited for, and with `startingSources` the VMs that expose
    /// them are started first.
    public func prepare(_ target: VMName, startingSources: Bool) -> Sysexit {
        let mark = StartMark(target, root: root)
        _ = mark.take()
        let reading = readAll(target)
        guard !reading.isEmpty else { return .success }
        do throws(Problem) {
            let lock = try lockVM(target)
            let status = try prepare(target, reading, startingSources, mark)
            lock.release()
            return status
        } catch {
            return refuse(target, reading.problems + [error])
        }
    }

    private func prepare(
        _ target: VMName, _ reading: Reading, _ startingSources: Bool, _ mark: StartMark
    ) throws(Problem) -> Sysexit {
        if try preview(target, []).isUp {
            reporter.report(
                Outcome(
                    .caution, target: target,
                    "VM \(target): is up already, so that nothing has to be had before its start"))
            return .success
        }
        var (applier, reading) = (self, reading)
        // What cannot come to anything starts nobody else.
        if startingSources, !reading.hasFailed {
            let (count, problems) = startSources(of: reading.assignments, for: target)
            reading.problems += problems
            if count > 0 { applier = waitingLonger }
        }
        let forecast = applier.forecast(target, reading, waiting: true)
        for problem in forecast.problems { report(problem, target) }
        guard forecast.status == .success else {
            reporter.progress(
                "VM \(target) is not started: \(forecast.problems.first { !$0.isTolerable }?.message ?? "")")
            reporter.report(
                Outcome(.startRefused, target: target, "VM \(target): is not started, because of the above"))
            return forecast.status
        }
        do { if hypervisor.startManner == .whole { try mark.set() } } catch {
            throw .unwritable(target, error)
        }
        reporter.progress("VM \(target) can be started with \(devices(forecast.items.count))")
        return .success
    }

    /// Finds out all that can be known before: what the rows mean, and what the hypervisor would make of it.
    func forecast(_ target: VMName, _ reading: Reading, waiting: Bool) -> Forecast {
        var forecast: Forecast
        if waiting, !reading.hasFailed {
            var waiting = Waiting(applier: self, target: target)
            let result = waiting.resolve(reading.assignments)
            forecast = Forecast(
                target: target, items: result.items, problems: reading.problems + result.problems)
        } else {
            let resolution = resolve(reading.assignments)
            forecast = Forecast(
                target: target, items: resolution.items, problems: reading.problems + resolution.problems)
        }
        do throws(Problem) {
            let required = forecast.items.filter { $0.assignment.mode == .required }
            let preview = try preview(target, required)
            for (item, objection) in zip(required, preview.objections) {
                guard let objection else { continue }
                forecast.items.removeAll { $0 == item }
                forecast.problems.append(Problem(objection, item.assignment))
            }
            if preview.canAsk == false { forecast.problems += unasked(reading.questions) }
        } catch {
            forecast.problems.append(error)
        }
        return forecast
    }

    private func preview(_ target: VMName, _ items: [Resolution.Item]) throws(Problem) -> StartPreview {
        do { return try hypervisor.preview(of: target, with: items.map(\.request)) } catch { throw Problem(error) }
    }

    /// The devices that are there, of which somebody was to ask the user, and nobody is there to ask.
    private func unasked(_ questions: [Assignment]) -> [Problem] {
        guard !questions.isEmpty else { return [] }
        let candidates = Candidates(questions, sources: sources(for: questions))
        return questions.enumerated().compactMap { index, question in
            // What is not there is not asked about.
            guard let (_, devices) = try? candidates.of(index, question),
                case .found = question.device.match(among: devices, follow: false)
            else { return nil }
            return .nobodyAsks(question)
        }
    }

    // MARK: Source VMs

    /// Starts the VMs that expose the devices, one after the other: how many were started, and what went wrong.
    private func startSources(of assignments: [Assignment], for target: VMName) -> (Int, [Problem]) {
        let running: Set<VMName>
        do { running = Set(try hypervisor.runningVMs()) } catch { return (0, [Problem(error)]) }
        let wanted = Dictionary(
            grouping: assignments.filter { !$0.device.source.isHost && !running.contains($0.device.source) },
            by: \.device.source)
        var count = 0
        var problems: [Problem] = []
        for (source, needs) in wanted.sorted(by: { $0.key < $1.key }) {
            reporter.progress(
                "starting source VM \(source)", needing: Applier.sourceStartTime + .seconds(60))
            do {
                try hypervisor.start(source, until: Deadline(after: Applier.sourceStartTime))
                count += 1
                reporter.report(
                    Outcome(
                        .sourceStarted, target: target,
                        "VM \(target): source VM \(source) was started, because its devices are assigned"))
            } catch {
                problems += needs.map { .sourceNotStarted($0, error) }
            }
        }
        return (count, problems)
    }

    /// A VM that has just come up tells of its devices a little later.
    private var waitingLonger: Applier {
        let (standardWait, sourceWait) = (standardWait, sourceWait)
        var applier = self
        applier.standardWait = { max(standardWait(), sourceWait) }
        return applier
    }
}
