public import Applying
public import Assignments
public import Devices
public import HostDevices
public import Hypervisors
internal import Platform

/// What an administrator does with devices and assignments of one host.
public struct Controller: Sendable {
    let applier: Applier
    let store: any AssignmentStore
    let sources: [any DeviceSource]
    let hypervisor: any Hypervisor
    let locks: LockFolder

    /// Joins the parts; `applier` does what touches a VM.
    public init(
        applier: Applier, store: any AssignmentStore, sources: [any DeviceSource], hypervisor: any Hypervisor,
        locks: LockFolder
    ) {
        self.applier = applier
        self.store = store
        self.sources = sources
        self.hypervisor = hypervisor
        self.locks = locks
    }

    /// Everything that is to be known of the devices of a class: exposed, attached, assigned.
    public func survey(_ deviceClass: DeviceClass) throws(Failure) -> Survey {
        var survey = Survey(deviceClass: deviceClass)
        for source in sources {
            do { survey.devices += try source.devices(of: deviceClass) } catch {
                guard source.name.isHost else {
                    // What one VM does not tell is no reason to say nothing of the others.
                    survey.warnings.append(error.description)
                    continue
                }
                throw Failure(error.message, remedy: error.remedy, status: .unavailable)
            }
        }
        survey.attachments = try liveRecords(deviceClass)
        do {
            let table = try store.allAssignments()
            survey.assignments = table.rows.map(\.assignment).filter { $0.device.deviceClass == deviceClass }
            survey.warnings += table.problems.map(\.description)
        } catch {
            throw Failure(Problem(error))
        }
        return survey
    }

    func liveRecords(_ deviceClass: DeviceClass) throws(Failure) -> [LockRecord] {
        do {
            return try locks.live().filter { $0.device.deviceClass == deviceClass }
        } catch {
            guard case .system(let error) = error else { return [] }
            throw Failure(
                "who has which device cannot be read: \(error)", remedy: "Run as root.",
                status: error.isPermission ? .permission : .configuration)
        }
    }
}

/// Why a command of the administrator was not carried out.
public struct Failure: Error, Equatable, Sendable {
    /// What happened and why, a sentence without its full stop.
    public let message: String
    /// What to do next.
    public let remedy: String?
    /// How the program ends.
    public let status: Sysexit

    /// Describes a failure.
    public init(_ message: String, remedy: String? = nil, status: Sysexit) {
        self.message = message
        self.remedy = remedy
        self.status = status
    }

    /// What a transaction found.
    public init(_ problem: Problem) {
        self.init(
            problem.message, remedy: problem.remedy.isEmpty ? nil : problem.remedy, status: problem.reason.status)
    }

    /// Wrong input.
    public init(_ error: SyntaxError) { self.init(error.description, status: .usage) }

    /// What the administrator reads.
    public var text: String { sentences(message, remedy) }
}
