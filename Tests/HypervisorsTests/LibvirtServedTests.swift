import Devices
import Foundation
import Platform
import TestSupport
import Testing

@testable import Hypervisors

/// Devices of other VMs in domains of libvirt's, beyond what the conformance suite has.
@Suite("Devices of another VM in a domain", .needsLoopDevices, .needsQEMU, .needsLibvirt) struct LibvirtServedTests
{
    @Test(
        "Disks of the host, of another VM and of whoever plugs one in by libvirt find room beside each other",
        arguments: LibvirtDaemon.Way.allCases)
    func together(way: LibvirtDaemon.Way) throws {
        let domain = try LibvirtDomain(ports: 3, on: LibvirtDaemon(way))
        let vm = try domain.connect()
        let (disk, served) = (try LoopDisk(), try ExportedDisk())
        let requests = [try served.request(), try disk.request()]
        #expect(try vm.place(requests) == [nil, nil])
        for request in requests { try vm.attach(request) }
        #expect(try vm.verify(requests) == [nil, nil])
        #expect(try vm.attachments() == Set(requests.map(\.id)))
        // libvirt does not know of the one, and takes the next free place for this.
        let other = domain.daemon.folder.path + "/other"
        try Data(count: 1 << 20).write(to: URL(fileURLWithPath: other))
        try domain.daemon.virsh("attach-disk", "work", other, "vdz", "--targetbus", "virtio")
        #expect(try vm.verify(requests) == [nil, nil])

        try vm.detach(requests[0].id, until: Deadline(after: .seconds(60)))
        #expect(try vm.attachments() == [requests[1].id])
    }

    @Test("Room that a disk of the host needs is not given to one of another VM, which is told what to add")
    func noRoom() throws {
        let domain = try LibvirtDomain(ports: 1)
        let vm = try domain.connect()
        let (disk, served) = (try LoopDisk(), try ExportedDisk())
        let answers = try vm.place([served.request(), disk.request()])
        #expect(answers.map { $0?.kind } == [.noRoom, nil])
        #expect(answers.first??.remedy?.contains("<controller type='pci' model='pcie-root-port'/>") == true)
        #expect(answers.first??.message.contains("sys-usb:sdb") == true)
    }

    @Test("Without virsh they are refused, with what to install")
    func withoutVirsh() throws {
        let daemon = try LibvirtDaemon(.bus)
        let domain = try LibvirtDomain(ports: 1, on: daemon)
        let root = Root(daemon.folder.path)
        let libvirt = Libvirt(
            root: root, timeout: .seconds(60),
            way: LibvirtChoice(
                address: "unix:path=\(root.path("/run/dbus/system_bus_socket"))",
                virsh: Virsh(program: "/nonexistent/virsh", uri: "", environment: [])))
        let vm = try libvirt.connect(to: domain.name, until: Deadline(after: .seconds(60)), waiting: true)
        let request = try ExportedDisk().request()
        let error = try #require(try vm.place([request]).first ?? nil)
        #expect(error.kind == .unsupported)
        #expect(error.remedy?.contains("libvirt-clients") == true)
        #expect(try vm.attachments() == [])
        #expect(try vm.deadEnds() == [])
    }

    @Test("A virsh that passes no open files is refused as such, and nothing is left of it in the VM")
    func oldVirsh() throws {
        let domain = try LibvirtDomain(ports: 1, on: LibvirtDaemon(.virsh))
        // As 8.0 answers.
        let program = domain.daemon.folder.path + "/old-virsh"
        try """
        #!/bin/sh
        case "$*" in
            *--pass-fds*)
                echo "error: command 'qemu-monitor-command' doesn't support option --pass-fds" >&2
                exit 1 ;;
        esac
        exec /usr/bin/virsh "$@"
        """.write(toFile: program, atomically: true, encoding: .utf8)
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: program)
        let root = Root(domain.daemon.folder.path)
        let virsh = Virsh(program: program, uri: Libvirt.uri(.system, root), environment: [])
        let libvirt = Libvirt(
            root: root, timeout: .seconds(60), way: LibvirtChoice(address: nil, virsh: virsh))
        let vm = try libvirt.connect(to: domain.name, until: Deadline(after: .seconds(60)), waiting: true)
        let request = try ExportedDisk().request()
        #expect(try vm.place([request]) == [nil])
        let error = #expect(throws: HypervisorError.self) { try vm.attach(request) }
        #expect(error?.kind == .incapable)
        #expect(error?.message.contains("libvirt 8.2 and later can") == true, "\(error?.message ?? "")")
        #expect(try vm.attachments() == [])
    }

    @Test("Whatever is in a name reaches QEMU as it is, and is no command", arguments: LibvirtDaemon.Way.allCases)
    func quoting(way: LibvirtDaemon.Way) throws {
        let domain = try LibvirtDomain(on: LibvirtDaemon(way))
        let vm = try #require(try domain.connect() as? LibvirtVM)
        for name in ["it's", "'; quit; '", #"a"b\c"#, "$HOME `id` \u{e9}", "--pass-fds 3", "line\nline"] {
            let error = #expect(throws: HypervisorError.self) {
                try vm.machine.call("asked", .list("/machine/\(name)"))
            }
            let quoted = printable(name, limit: 80)
            #expect(
                error?.message.contains("Device '/machine/\(quoted)' not found") == true, "\(error?.message ?? "")")
            #expect(try vm.state() == .notStarted)
        }
    }

    @Test("Whether a VM runs is known while libvirtd answers nobody")
    func isRunning() throws {
        let domain = try LibvirtDomain()
        let nobody = try VMName("nobody-\(UInt32.random(in: 0 ... .max))")
        #expect(domain.hypervisor.isRunning(domain.name) == true)
        domain.daemon.stop()
        #expect(domain.hypervisor.isRunning(domain.name) == true)
        #expect(domain.hypervisor.isRunning(nobody) == false)
        try domain.daemon.start()
        domain.kill()
        #expect(domain.hypervisor.isRunning(nobody) == false)
    }
}
