internal import Devices
internal import Hypervisors
internal import Platform

extension Applier {
    /// Writes the description with which the VM has to be started to standard output; nothing when it can be started as it
    /// is. A required device that has to be in it and cannot be had is told, and the status says that there is no start.
    func describe(_ target: VMName) -> Sysexit {
        // What is wrong with other rows the start itself tells, with all its reasons at once.
        let microphones = read(target).0.filter { $0.device.deviceClass == .mic }
        guard !microphones.isEmpty else { return .success }
        var waiting = Waiting(applier: self, target: target)
        let found = waiting.resolve(microphones)
        var problems = found.problems
        do {
            let text = try hypervisor.startDescription(of: target, with: found.items.map(\.device))
            // What does not arrive there as a whole libvirt does not take.
            if let text, problems.allSatisfy(\.isTolerable) { writeStandardOutput(text) }
        } catch {
            problems.append(Problem(error))
        }
        // An optional one is told of by the start.
        for problem in problems where !problem.isTolerable { report(problem, target) }
        return Sysexit.first(of: problems.filter { !$0.isTolerable }.map(\.reason.status))
    }
}
