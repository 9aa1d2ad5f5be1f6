public import Applying
public import Assignments
public import Devices
public import HostDevices
public import Hypervisors
internal import Platform
internal import Qubes

/// What an administrator does with devices and assignments of one host.
public struct Controller: Sendable {
    let applier: Applier
    let store: any AssignmentStore
    let sources: [any DeviceSource]
    let hypervisor: any Hypervisor
    let locks: LockFolder
    /// qubesd, where Qubes OS runs the VMs.
    let qubes: QubesAdmin?

    /// Joins the parts; `applier` does what touches a VM, and `qubes` knows who has what on Qubes OS.
    public init(
        applier: Applier, store: any AssignmentStore, sources: [any DeviceSource], hypervisor: any Hypervisor,
        locks: LockFolder, qubes: QubesAdmin? = nil
    ) {
        self.applier = applier
        self.store = store
        self.sources = sources
        self.hypervisor = hypervisor
        self.locks = locks
        self.qubes = qubes
    }

    /// Who exposes devices by that name.
    func source(_ name: VMName) -> (any DeviceSource)? {
        sources.first { $0.name == name } ?? qubes.map { QubesSource(name, admin: $0) }
    }

    /// Everything that is to be known of the devices of a class: exposed, attached, assigned. Without `withAssignments` what
    /// is stored is not asked for where that would take longer.
    public func survey(_ deviceClass: DeviceClass, withAssignments: Bool = true) throws(Failure) -> Survey {
        if let qubes { return try Survey(deviceClass, of: qubes, withAssignments: withAssignments) }
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

    /// What VMs that run have; of `vm` alone where that is quicker.
    func liveRecords(_ deviceClass: DeviceClass, of vm: VMName? = nil) throws(Failure) -> [LockRecord] {
        if let qubes { return try qubes.records(deviceClass, of: vm) }
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

    /// A VM that is not there, where somebody knows all of them.
    static func noSuchVM(_ name: VMName) -> Failure {
        Failure("there is no VM \(name)", remedy: "'qvm-ls' shows those that there are.", status: .usage)
    }

    /// Wrong input.
    public init(_ error: SyntaxError) { self.init(error.description, status: .usage) }

    /// What the administrator reads.
    public var text: String { sentences(message, remedy) }
}
