import Devices
import Foundation
import Hypervisors
import Platform
import TestSupport

/// A hypervisor to run the same tests on, and how to get a VM there.
enum Bench: String, CaseIterable, Sendable {
    case simulator, q35, i440fx, libvirt, libvirtBus, qubes

    /// Those whose VMs wait before their first instruction, and whose process is what proves that a VM has a device. qubesd
    /// starts a VM whole and keeps account itself.
    static let paused = allCases.filter { $0 != .qubes }

    /// In which state a VM of `start` is.
    var first: VMState { self == .qubes ? .running : .notStarted }

    /// Whether what is handed over stays open in the VM's process: a claim on a disk lasts as long as the VM has it.
    var keepsClaims: Bool { ![.libvirt, .libvirtBus, .qubes].contains(self) }

    /// A VM that has not started, with at least `places` free places, and with ports for USB devices if asked for.
    func start(_ name: String = "work", places: Int = 4, withUSB: Bool = false) throws -> TestVM {
        let more = withUSB ? ["-device", "qemu-xhci,id=xhci"] : []
        switch self {
        case .simulator:
            let simulator = Simulator()
            let vm = try VMName(name)
            simulator.add(vm, places: places)
            return TestVM(name: vm, hypervisor: simulator) { simulator.crash(vm) }
        case .q35:
            let process = try QEMUProcess(name, ports: places, arguments: more)
            return TestVM(name: process.name, hypervisor: process.hypervisor) { process.kill() }
        case .i440fx:
            let process = try QEMUProcess(name, machine: .i440fx, arguments: more)
            return TestVM(name: process.name, hypervisor: process.hypervisor) { process.kill() }
        case .libvirt, .libvirtBus:
            let daemon = try LibvirtDaemon(self == .libvirtBus ? .bus : .virsh)
            let domain = try LibvirtDomain(name, ports: places, withUSB: withUSB, on: daemon)
            return TestVM(name: domain.name, hypervisor: domain.hypervisor) { domain.kill() }
        case .qubes:
            let host = try QubesdStandIn()
            host.with { model in
                model.domains[name] = QubesModel.Domain(state: "Running")
                model.domains["dom0"]?.exposed["block"] = (0..<256).map { QubesModel.Exposed("loop\($0)", ":None") }
            }
            return TestVM(name: try VMName(name), hypervisor: Qubes(host.admin)) {
                host.with { $0.domains[name] = QubesModel.Domain() }
            }
        }
    }
}

/// A VM of whatever hypervisor; it is killed with the last reference.
final class TestVM {
    let name: VMName
    let hypervisor: any Hypervisor
    let kill: () -> Void

    init(name: VMName, hypervisor: any Hypervisor, kill: @escaping () -> Void) {
        self.name = name
        self.hypervisor = hypervisor
        self.kill = kill
    }

    deinit { kill() }

    func connect(waiting: Bool = true) throws -> any RunningVM {
        try hypervisor.connect(to: name, until: Deadline(after: .seconds(120)), waiting: waiting)
    }
}
