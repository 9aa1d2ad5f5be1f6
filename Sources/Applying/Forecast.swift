public import Devices
internal import HostDevices
internal import Platform

/// What the next start of a VM would come to, as things are now.
public struct Forecast: Sendable {
    /// The VM.
    public let target: VMName
    /// The devices that it would get.
    public internal(set) var items: [Resolution.Item]
    /// Everything that is in the way; first what is wrong with the table.
    public internal(set) var problems: [Problem]

    /// The status with which the start would end.
    public var status: Sysexit { Sysexit.first(of: problems.filter { !$0.isTolerable }.map(\.reason.status)) }
}

extension Applier {
    /// Finds out what the next start of the VM would come to, without changing anything.
    public func forecast(_ target: VMName) -> Forecast {
        var forecast = forecast(target, readAll(target), waiting: false)
        // One that does not heal by itself ends a start at once.
        guard !forecast.problems.contains(where: { !$0.isTolerable && !$0.isLate }) else { return forecast }
        forecast.problems = forecast.problems.map { $0.before(waiting: wait(for: $0)) }
        return forecast
    }

    /// Says what the next start of the VM would come to, without changing anything.
    public func check(_ target: VMName) -> Sysexit {
        let forecast = forecast(target)
        for problem in forecast.problems { report(problem, target) }
        for item in forecast.items {
            reportFollowed(item)
            for caution in item.device.cautions { report(caution, of: item) }
        }
        let count = devices(forecast.items.count)
        reporter.report(
            forecast.status == .success
                ? Outcome(.complete, target: target, "VM \(target): would start with \(count)")
                : Outcome(.startRefused, target: target, "VM \(target): would not start, because of the above"))
        return forecast.status
    }

    /// How long a start would wait at most until the problem has healed; zero when it would not.
    private func wait(for problem: Problem) -> Duration {
        guard problem.isLate, let assignment = problem.assignment,
            let source = source(assignment.device.source),
            (try? source.listen(for: [assignment.device])) ?? nil != nil
        else { return .zero }
        return assignment.options.timeout ?? standardWait()
    }
}
