import Devices
import Foundation
import Platform
import TestSupport
import Testing

@testable import Hypervisors

/// What only a real libvirtd can show.
@Suite(.needsLoopDevices, .needsQEMU, .needsLibvirt) struct LibvirtTests {
    let soon = Deadline(after: .seconds(60))

    @Test(
        "Eight disks go in, read-write and read-only by turns, and the stored description stays as it was",
        arguments: LibvirtDaemon.Way.allCases)
    func eight(way: LibvirtDaemon.Way) throws {
        let domain = try LibvirtDomain(ports: 8, on: LibvirtDaemon(way))
        let vm = try domain.connect()
        let disks = try (0..<8).map { _ in try LoopDisk() }
        let requests = try disks.enumerated().map { try $1.request(readOnly: $0 % 2 == 1) }
        #expect(try vm.place(requests) == requests.map { _ in nil })
        for request in requests { try vm.attach(request) }
        #expect(try vm.verify(requests) == requests.map { _ in nil })
        #expect(try vm.attachments().count == 8)
        try vm.resume()
        #expect(try !domain.daemon.virsh("dumpxml", "work", "--inactive").contains("<disk"))
    }

    @Test(
        "A disk that another VM has, of libvirt or not, is refused with that VM's name and process",
        arguments: LibvirtDaemon.Way.allCases)
    func foreignHolder(way: LibvirtDaemon.Way) throws {
        let disk = try LoopDisk()
        let other = try QEMUProcess("other", ports: 1)
        try other.connect().attach(try disk.request(claimed: false))
        let domain = try LibvirtDomain(ports: 1, on: LibvirtDaemon(way))
        let vm = try domain.connect()
        let error = #expect(throws: HypervisorError.self) { try vm.attach(disk.request(claimed: false)) }
        #expect(error?.kind == .taken)
        #expect(
            error?.message == "dom0:\(disk.portName) is in use by another QEMU process (pid \(other.pid), VM other)"
        )
        #expect(try vm.attachments() == [])
    }

    @Test("A disk without a PCI port goes to a SCSI controller, and so does an optical drive")
    func scsi() throws {
        let domain = try LibvirtDomain(ports: 1, devices: "<controller type='scsi' model='virtio-scsi'/>")
        let vm = try domain.connect()
        let disks = [try LoopDisk(), try LoopDisk()]
        let requests = [
            try disks[0].request(), try disks[1].request(readOnly: true, options: [("devtype", "cdrom")]),
        ]
        #expect(try vm.place(requests) == [nil, nil])
        for request in requests { try vm.attach(request) }
        #expect(try vm.verify(requests) == [nil, nil])
        let description = try domain.daemon.virsh("dumpxml", "work")
        #expect(description.contains("<target dev='sda' bus='scsi'/>"))
        #expect(description.contains("device='cdrom'"))
    }

    @Test("A VM without a place says what to add to its description")
    func noRoom() throws {
        let domain = try LibvirtDomain()
        let vm = try domain.connect()
        let disks = [try LoopDisk(), try LoopDisk()]
        let requests = [try disks[0].request(), try disks[1].request(options: [("devtype", "cdrom")])]
        let errors = try vm.place(requests)
        #expect(errors.map { $0?.kind } == [.noRoom, .noRoom])
        #expect(errors.first??.remedy?.contains("<controller type='pci' model='pcie-root-port'/>") == true)
        #expect(errors.last??.remedy?.contains("<controller type='scsi' model='virtio-scsi'/>") == true)
    }

    @Test(
        "A domain that was suspended later is paused and not at its start", arguments: LibvirtDaemon.Way.allCases)
    func suspended(way: LibvirtDaemon.Way) throws {
        let domain = try LibvirtDomain(on: LibvirtDaemon(way))
        let vm = try domain.connect()
        try vm.resume()
        try domain.daemon.virsh("suspend", "work")
        #expect(try vm.state() == .paused("user"))
    }

    @Test(
        "While libvirtd is away nothing is known, and the VM ends all the same; when it is back it knows all",
        arguments: LibvirtDaemon.Way.allCases)
    func restarted(way: LibvirtDaemon.Way) throws {
        let domain = try LibvirtDomain(ports: 2, on: LibvirtDaemon(way))
        let vm = try domain.connect()
        let disks = [try LoopDisk(), try LoopDisk()]
        try vm.attach(try disks[0].request())
        domain.daemon.stop()
        let error = #expect(throws: HypervisorError.self) { try vm.attach(disks[1].request()) }
        #expect(error?.kind == .unreachable)
        #expect(error?.remedy?.contains("systemctl status libvirtd") == true)
        try domain.daemon.start()
        #expect(try vm.state() == .notStarted)
        #expect(try vm.attachments() == [AttachmentID(port: disks[0].device().port)])
        domain.daemon.stop()
        try vm.end()
        guard case .lease(let holder) = vm.custody else {
            Issue.record("libvirt VMs have leases")
            return
        }
        #expect(!holder.process.isAlive)
    }

    @Test(
        "A connection to a VM that was started anew does not speak to the new one",
        arguments: LibvirtDaemon.Way.allCases)
    func reincarnated(way: LibvirtDaemon.Way) throws {
        let domain = try LibvirtDomain(on: LibvirtDaemon(way))
        let vm = try domain.connect()
        domain.kill()
        try domain.daemon.virsh("start", "work")
        let error = #expect(throws: HypervisorError.self) { try vm.state() }
        #expect(error?.kind == .unreachable)
        try vm.end()
        #expect(try domain.connect().state() == .running, "the new one is not ended in its place")
    }

    @Test(
        "A name that is a number, and one that is another's UUID, mean the domain of that name",
        arguments: LibvirtDaemon.Way.allCases)
    func confusing(way: LibvirtDaemon.Way) throws {
        let daemon = try LibvirtDaemon(way)
        let first = try LibvirtDomain("first", on: daemon)
        let second = try LibvirtDomain("1", on: daemon)
        let uuid = try daemon.virsh("domuuid", "first")
        let third = try LibvirtDomain(uuid, on: daemon, isTransient: true)
        #expect(try daemon.hypervisor.runningVMs() == [second.name, third.name, first.name].sorted())
        try second.connect().resume()
        #expect(try first.connect().state() == .notStarted)
        try third.connect().end()
        #expect(try daemon.hypervisor.runningVMs() == [second.name, first.name].sorted())
        #expect(try first.connect().state() == .notStarted)
    }

    @Test(
        "Names of VMs that are none with us are passed over; they cannot be assigned anything",
        arguments: LibvirtDaemon.Way.allCases)
    func oddNames(way: LibvirtDaemon.Way) throws {
        let daemon = try LibvirtDaemon(way)
        let domain = try LibvirtDomain(on: daemon)
        for (index, name) in ["a b", "it's", "&lt;x>", "-x", "a%i", "\u{e9}", String(repeating: "x", count: 64)]
            .enumerated()
        {
            let file = daemon.folder.path + "/odd\(index).xml"
            let text = name.replacingOccurrences(of: ">", with: "&gt;")
            try """
            <domain type='qemu'><name>\(text)</name><memory unit='MiB'>32</memory>
            <os><type arch='x86_64' machine='q35'>hvm</type></os></domain>
            """.write(toFile: file, atomically: true, encoding: .utf8)
            try daemon.virsh("create", file, "--paused")
        }
        defer {
            for line in (try? daemon.virsh("list", "--uuid"))?.split(separator: "\n") ?? [] {
                _ = try? daemon.virsh("destroy", String(line))
            }
        }
        #expect(try daemon.virsh("list", "--uuid").split(separator: "\n").count == 8)
        #expect(try daemon.hypervisor.runningVMs() == [domain.name])
    }

    @Test("libvirt that does not run, or is not for us, is told from a VM that does not run")
    func unreachable() throws {
        let folder = try TemporaryFolder()
        let nowhere = Libvirt(root: Root(folder.path), connection: .system, timeout: .seconds(20))
        let error = #expect(throws: HypervisorError.self) { try nowhere.runningVMs() }
        #expect(error?.kind == .unreachable)
        let daemon = try LibvirtDaemon()
        let missing = #expect(throws: HypervisorError.self) {
            try daemon.hypervisor.connect(to: VMName("nosuch"), until: soon, waiting: false)
        }
        #expect(missing?.kind == .notRunning)
    }
}

/// How libvirt's words are taken, without a libvirt.
struct LibvirtTextTests {
    @Test(
        "What libvirt says is told apart: could not ask, may not, not running, refused",
        arguments: [
            (
                "failed to connect to the hypervisor: Failed to connect socket to '/run/x': No such file or directory",
                "unreachable"
            ),
            (
                "failed to connect to the hypervisor: Failed to connect socket to '/run/x': Permission denied",
                "forbidden"
            ),
            ("authentication unavailable: no polkit agent available to authenticate action", "forbidden"),
            ("Cannot recv data: Connection reset by peer", "unreachable"),
            ("End of file while reading data: Input/output error", "unreachable"),
            (
                "Timed out during operation: cannot acquire state change lock (held by monitor=remoteDispatch)",
                "unreachable"
            ),
            ("failed to get domain 'x'", "notRunning"),
            ("Requested operation is not valid: domain is not running", "notRunning"),
            ("internal error: something new", "refused"),
        ])
    func kinds(text: String, kind: String) {
        #expect("\(LibvirtFailure(libvirt: text))".hasPrefix(kind))
        #expect(LibvirtFailure(libvirt: text).reason == text)
    }

    @Test(
        "The alias of a device holds only what libvirt takes, and tells which device it is",
        arguments: ["loop0", "2-1.4", "00_1f.3", "00_1c.0-00_00.0", "a__b", "x_d.d"])
    func alias(name: String) throws {
        let id = try #require(AttachmentID("vmdev-\(name)"))
        #expect(id.alias.hasPrefix("ua-vmdev-"))
        #expect(id.alias.utf8.allSatisfy { VMName.mayContain($0) && $0 != UInt8(ascii: ".") })
        #expect(AttachmentID(alias: id.alias) == id)
    }

    @Test(
        "An alias of others is nobody's",
        arguments: ["virtio-disk0", "ua-x", "ua-vmdev-a_x", "ua-vmdev-a_", "vmdev-a", ""])
    func otherAlias(alias: String) { #expect(AttachmentID(alias: alias) == nil) }
}
