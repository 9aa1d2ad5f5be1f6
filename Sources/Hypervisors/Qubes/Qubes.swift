public import Devices
public import Platform

/// The VMs of a Qubes OS.
public struct Qubes: Hypervisor {
    /// "Qubes OS".
    public let name = "Qubes OS"

    let admin: QubesAdmin

    /// The socket of the one who asks the user of dom0's desktop; nil where we are not in dom0.
    let agent: String?

    /// The VMs of that qubesd; `agent` is the path of the socket at which a question to the user can be asked.
    public init(_ admin: QubesAdmin, agent: String? = nil) {
        self.admin = admin
        self.agent = agent
    }

    /// The VMs that run, without dom0.
    public func runningVMs() throws(HypervisorError) -> [VMName] {
        do {
            return try admin.domains().filter { $0.isRunning && !$0.name.isHost }.map(\.name).sorted()
        } catch {
            throw HypervisorError(error)
        }
    }

    /// Makes sure that the VM is there and runs; with `waiting`, one that is on its way is waited for.
    public func connect(
        to vm: VMName, until deadline: Deadline, waiting: Bool
    ) throws(HypervisorError) -> any RunningVM {
        do {
            let state = try find(vm)
            if state != "Running", !waiting || state == "Halted" { throw Qubes.notRunning(vm, state) }
            if state != "Running" {
                // Whatever state it comes to that is no way to another one ends the wait.
                let transient = ["Transient", "Halting", "Dying"]
                let isSettled = try admin.wait(on: vm, until: deadline) { () throws(QubesError) in
                    !transient.contains(try admin.state(of: vm))
                }
                let state = try admin.state(of: vm)
                guard isSettled, state == "Running" else { throw Qubes.notRunning(vm, state) }
            }
            return QubesVM(name: vm, admin: admin)
        } catch let error as QubesError {
            throw HypervisorError(error)
        } catch let error as HypervisorError {
            throw error
        } catch {
            throw HypervisorError(.unreachable, "VM \(vm): \(error)")
        }
    }

    /// What qubesd would refuse or pass over: it knows neither `follow` nor `timeout`, and no option of USB devices and
    /// microphones.
    public func objection(to options: DeviceOptions, of deviceClass: DeviceClass) -> HypervisorError? {
        let known: [String] =
            switch deviceClass {
            case .block: ["frontend-dev", "read-only", "devtype"]
            case .pci: ["no-strict-reset", "permissive"]
            case .usb, .mic: []
            }
        guard let option = options.entries.first(where: { !known.contains($0.key) }) else { return nil }
        return HypervisorError(
            .unsupported,
            "\(option.key) cannot be honoured on Qubes OS: qubesd keeps no such option of a \(deviceClass) device",
            remedy: known.isEmpty
                ? "Leave it out: there it has no options."
                : "Leave it out; there are \(known.joined(separator: ", ")).")
    }

    private func find(_ vm: VMName) throws -> String {
        guard let domain = try admin.domains().first(where: { $0.name == vm }) else {
            throw HypervisorError(
                .notRunning, "there is no VM \(vm)", remedy: "'qvm-ls' shows those that there are.")
        }
        return domain.state
    }

    private static func notRunning(_ vm: VMName, _ state: String) -> HypervisorError {
        HypervisorError(
            .notRunning, "VM \(vm) is not running (\(state.lowercased()))", remedy: "Start it: qvm-start \(vm)")
    }
}
