internal import Assignments
public import Devices
internal import HostDevices
internal import Hypervisors
internal import Platform

/// One device at a time, for an administrator at work on a VM.
extension Applier {
    /// What came of attaching one device.
    public enum SingleResult: Sendable {
        /// It is there now.
        case attached(Device)
        /// It was there before.
        case alreadyAttached(Device)
        /// The device could be had, but the VM does not run.
        case notRunning(Device)
        /// It is not there, and nothing has changed.
        case failed(Problem)
    }

    /// Attaches one device to a VM that runs.
    public func attach(_ assignment: Assignment) -> SingleResult {
        let resolution = resolve([assignment])
        guard let item = resolution.items.first else {
            return .failed(resolution.problems.first ?? Problem(.deviceMissing, assignment, "\(assignment.device)"))
        }
        do {
            let vm = try connect(to: assignment.target, waiting: false)
            let lock = try lockVM(assignment.target)
            let result = try attach(item, to: vm)
            lock.release()
            return result
        } catch let problem as Problem where problem.reason == .notRunning {
            return .notRunning(item.device)
        } catch let problem as Problem {
            return .failed(problem)
        } catch let error as HypervisorError {
            return .failed(Problem(error, assignment))
        } catch let failure as LockFolder.Failure {
            return .failed(Problem(failure, assignment, item.device))
        } catch {
            return .failed(Problem(.unreachable, assignment, "VM \(assignment.target): \(error)"))
        }
    }

    private func attach(_ item: Resolution.Item, to vm: any RunningVM) throws -> SingleResult {
        let attaching = Attaching(vm: vm, sources: sources(for: [item.assignment]), locks: locks, timeout: timeout)
        let (there, wrong) = attaching.alreadyThere([item], in: item.assignment.target)
        if let problem = wrong.first { return .failed(problem) }
        if !there.isEmpty { return .alreadyAttached(item.device) }
        let (prepared, refused) = try attaching.prepare([item], stopAtFailure: true)
        if let problem = refused.first { return .failed(problem) }
        let (attached, failed) = attaching.attach(prepared, stopAtFailure: true)
        guard let arrived = attached.first else {
            return .failed(
                failed.first ?? Problem(.notVerified, item.assignment, "\(item.device.name) did not arrive"))
        }
        for caution in item.device.cautions { report(caution, of: item) }
        reporter.report(
            Outcome(
                .attached, target: item.assignment.target, assignment: item.assignment, device: item.device,
                duration: arrived.duration,
                "VM \(item.assignment.target): \(item.device.deviceClass) device \(item.device.reference) is attached"
            ))
        return .attached(item.device)
    }

    /// Takes one device away from a VM that runs; nil when it has gone.
    public func detach(_ record: LockRecord) -> Problem? {
        do {
            let vm = try connect(to: record.vm, waiting: false)
            let lock = try lockVM(record.vm)
            try Attaching(vm: vm, sources: sources, locks: locks, timeout: timeout).detach(record)
            if let port = record.device.port {
                try source(record.device.source)?
                    .giveBack(port, of: record.device.deviceClass, from: record.vm)
            }
            lock.release()
            reporter.report(
                Outcome(
                    .detached, target: record.vm, reference: record.device,
                    "VM \(record.vm): \(record.device.deviceClass) device \(record.device) is detached"))
            return nil
        } catch let problem as Problem {
            return problem
        } catch let error as HypervisorError {
            return Problem(error)
        } catch let error as SourceError {
            return Problem(.notGivenBack, nil, error.message, remedy: error.remedy ?? "")
        } catch {
            return Problem(.unreachable, nil, "VM \(record.vm): \(error)")
        }
    }
}
