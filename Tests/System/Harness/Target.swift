import Foundation
import Platform
import TestSupport

/// The VM that gets devices, whatever runs it.
protocol Target {
    /// Pulls its plug.
    func kill()
    /// QEMU's word for where it is in its life.
    func status() throws -> String
    /// The devices with our names in it, by their id.
    func attachments() throws -> [String]
    /// Whether it has ended by itself without having run one instruction.
    func endedWithoutRunning() throws -> Bool
}

/// What runs it.
enum TargetHypervisor: CaseIterable, Sendable {
    case qemu, libvirt

    /// For vmdev.conf. On a loaded machine both may take their time.
    var settings: String {
        switch self {
        case .qemu: "[QEMU]\nQMPTimeoutSec=5min\n"
        case .libvirt: "[Host]\nHypervisor=libvirt\n[Libvirt]\nTimeoutSec=2min\n"
        }
    }
}

extension VM: Target {
    func status() throws -> String { try monitor.status() }
    func attachments() throws -> [String] { try monitor.attachments() }
}

/// A domain of a libvirtd that has the host for its own.
final class LibvirtTarget: Target {
    private let daemon: LibvirtDaemon
    private let process: ProcessHandle

    init(
        on host: ScratchHost, _ daemon: LibvirtDaemon, kernel: String, initrd: String, commandLine: String,
        console: String
    ) throws {
        self.daemon = daemon
        let port = "<controller type='pci' model='pcie-root-port'/>"
        try host.write(
            "/work.xml",
            """
            <domain type='qemu'><name>work</name><memory unit='MiB'>384</memory><vcpu>1</vcpu>
            <os><type arch='x86_64' machine='q35'>hvm</type><kernel>\(kernel)</kernel><initrd>\(initrd)</initrd>
            <cmdline>\(commandLine)</cmdline></os><features><acpi/></features><on_reboot>destroy</on_reboot>
            <devices><controller type='pci' model='pcie-root'/><controller type='usb' model='qemu-xhci' ports='15'/>
            \(port)\(port)\(port)<memballoon model='none'/>
            <serial type='unix'><source mode='bind' path='\(console)'/></serial></devices></domain>
            """)
        try self.daemon.virsh("create", host.root + "/work.xml", "--paused")
        let text = try String(contentsOfFile: host.root + "/run/libvirt/qemu/work.pid", encoding: .utf8)
        guard let pid = Int32(text.trimmingCharacters(in: .whitespacesAndNewlines)),
            let process = ProcessHandle(pid: pid)
        else { throw Failure("the domain has no process") }
        self.process = process
    }

    deinit { kill() }

    func kill() {
        try? process.kill()
        _ = try? process.waitForEnd(until: Deadline(after: .seconds(60)))
    }

    func status() throws -> String {
        let answer = try daemon.virsh("qemu-monitor-command", "work", #"{"execute":"query-status"}"#)
        return answer.components(separatedBy: #""status":""#).last?.components(separatedBy: "\"").first ?? ""
    }

    func attachments() throws -> [String] {
        let list = try daemon.virsh(
            "qemu-monitor-command", "work",
            #"{"execute":"qom-list","arguments":{"path":"/machine/peripheral"}}"#)
        return list.components(separatedBy: #""name":"vmdev-"#).dropFirst()
            .map { "vmdev-" + $0.prefix { $0 != "\"" } }.sorted()
    }

    func endedWithoutRunning() throws -> Bool {
        guard try process.waitForEnd(until: Deadline(after: .seconds(60))) else { return false }
        return try !daemon.hasRun("work")
    }
}
