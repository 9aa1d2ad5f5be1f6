import Devices
import Foundation
import Hypervisors
import Platform
import TestSupport

/// A domain that was started paused; it ends with the last reference.
final class LibvirtDomain: @unchecked Sendable {
    let name: VMName
    let daemon: LibvirtDaemon

    /// Defines and starts a domain with `ports` free PCI Express ports and more XML among its devices.
    init(
        _ name: String = "work", ports: Int = 0, withUSB: Bool = false, devices: String = "",
        on daemon: LibvirtDaemon? = nil, isTransient: Bool = false
    ) throws {
        self.name = try VMName(name)
        self.daemon = try daemon ?? LibvirtDaemon()
        let file = self.daemon.folder.path + "/\(name).xml"
        try """
        <domain type='qemu'><name>\(name)</name><memory unit='MiB'>32</memory><vcpu>1</vcpu>
        <os><type arch='x86_64' machine='q35'>hvm</type></os><features><acpi/></features>
        <devices><controller type='pci' model='pcie-root'/><controller type='usb' model='\(withUSB ? "qemu-xhci" : "none")'/>
        \(String(repeating: "<controller type='pci' model='pcie-root-port'/>", count: ports))
        <memballoon model='none'/>\(devices)</devices></domain>
        """.write(toFile: file, atomically: true, encoding: .utf8)
        if isTransient {
            try self.daemon.virsh("create", file, "--paused")
        } else {
            try self.daemon.virsh("define", file)
            try self.daemon.virsh("start", name, "--paused")
        }
    }

    deinit { kill() }

    var hypervisor: Libvirt { daemon.hypervisor }

    /// The number of its QEMU; nil when it has ended.
    var pid: Int32? {
        (try? String(contentsOfFile: daemon.folder.path + "/run/libvirt/qemu/\(name).pid", encoding: .utf8))
            .flatMap { Int32($0.trimmingCharacters(in: .whitespacesAndNewlines)) }
    }

    func connect() throws -> any RunningVM {
        try hypervisor.connect(to: name, until: Deadline(after: .seconds(60)), waiting: true)
    }

    /// Ends QEMU as a crash does, and waits until libvirt has heard of it.
    func kill() {
        guard let pid else { return }
        Foundation.kill(pid, SIGKILL)
        while (try? ProcessHandle(pid: pid)?.waitForEnd(until: Deadline(after: .seconds(60)))) == false {}
        let deadline = Deadline(after: .seconds(30))
        while let list = try? daemon.virsh("list", "--name"), !deadline.hasPassed,
            list.split(separator: "\n").contains(Substring(name.description))
        {
            usleep(20_000)
        }
    }
}
