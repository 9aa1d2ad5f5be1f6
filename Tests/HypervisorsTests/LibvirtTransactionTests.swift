import Applying
import Assignments
import Devices
import Foundation
import HostDevices
import Platform
import Synchronization
import TestSupport
import Testing

@testable import Hypervisors

/// Whole starts on a real libvirtd: what goes wrong ends in its documented exit status, with nothing half attached.
@Suite(.needsLoopDevices, .needsQEMU, .needsLibvirt) struct LibvirtTransactionTests {
    private let store = FakeStore()
    private let reporter = Recorder()

    private func applier(_ hypervisor: any Hypervisor, root: String) -> Applier {
        Applier(
            store: store, sources: [HostSource(root: Root("/"))], hypervisor: hypervisor, root: Root(root),
            reporter: reporter, timeout: .seconds(60))
    }

    private func assign(_ disk: LoopDisk, to vms: String...) throws {
        store.set(try vms.map { try row("\($0) dom0:\(disk.portName) required") })
    }

    private func leases(_ daemon: LibvirtDaemon) throws -> [LockRecord] {
        try LockFolder(root: Root(daemon.folder.path)).live()
    }

    @Test(
        "libvirtd that is killed before any one of our questions: 75, and the VM does not run without its disk",
        arguments: LibvirtDaemon.Way.allCases)
    func killedInTheMiddle(way: LibvirtDaemon.Way) throws {
        let daemon = try LibvirtDaemon(way)
        let disk = try LoopDisk()
        try assign(disk, to: "work")
        var question = 0
        while true {
            let domain = try LibvirtDomain(ports: 1, on: daemon, isTransient: true)
            let process = try #require(domain.pid.flatMap { ProcessIdentity(of: $0) })
            let deadline = Deadline(after: .seconds(60))
            let root = Root(daemon.folder.path)
            let real = try Libvirt.way(root: root, .system).transport(by: deadline)
            let killing = KillingTransport(real, before: question) { daemon.stop() }
            let hypervisor = Libvirt(
                root: root, timeout: .seconds(60),
                way: LibvirtChoice(
                    address: nil, virsh: Virsh(program: "", uri: "", environment: []), chosen: killing))
            let status = applier(hypervisor, root: daemon.folder.path).apply(to: domain.name, on: .boot)
            guard killing.hasKilled else {
                #expect(status == .success)
                #expect(try daemon.virsh("domstate", "work") == "running")
                break
            }
            #expect(status == .unreachable, "before question \(question): \(reporter.outcomes.map(\.message))")
            try daemon.start()
            #expect(try leases(daemon) == [], "before question \(question)")
            // One to which we were not even connected is still there, paused and without anything of ours.
            if process.isAlive {
                #expect(try daemon.virsh("domstate", "work") == "paused", "before question \(question)")
                #expect(try !daemon.virsh("dumpxml", "work").contains("ua-vmdev"), "before question \(question)")
            }
            question += 1
        }
        #expect(question >= 6, "listed, state, room, attached, verified, resumed")
    }

    @Test("A disk that a libvirt VM has is taken for a QEMU VM, and the other way round: 73, by name")
    func exclusion() throws {
        let daemon = try LibvirtDaemon()
        let disk = try LoopDisk()
        try assign(disk, to: "work", "media")
        let (libvirt, root) = (daemon.hypervisor, daemon.folder.path)
        let domain = try LibvirtDomain(ports: 1, on: daemon, isTransient: true)
        #expect(applier(libvirt, root: root).apply(to: domain.name, on: .boot) == .success)
        var machine: QEMUProcess? = try QEMUProcess("media", ports: 1, in: daemon.folder)
        let media = try VMName("media")
        #expect(applier(daemon.folder.qemu, root: root).apply(to: media, on: .boot) == .taken)
        #expect(reporter.texts(.failed).last?.contains("is taken by VM work") == true)

        // However it ends, the disk is free at once.
        domain.kill()
        #expect(try leases(daemon) == [])
        machine = try QEMUProcess("media", ports: 1, in: daemon.folder)
        #expect(applier(daemon.folder.qemu, root: root).apply(to: media, on: .boot) == .success)
        let again = try LibvirtDomain(ports: 1, on: daemon, isTransient: true)
        #expect(applier(libvirt, root: root).apply(to: again.name, on: .boot) == .taken)
        #expect(reporter.texts(.failed).last?.contains("is taken by VM media") == true)
        #expect(try daemon.virsh("list", "--name") == "", "it was ended")
        machine?.kill()
        machine = nil
    }

    @Test("What may not be asked is 77, and what cannot be asked is 75: the VM is not taken for one that is ready")
    func notAsked() throws {
        let disk = try LoopDisk()
        try assign(disk, to: "work")
        let forbidden = try LibvirtDaemon(bus: .forbidden)
        let domain = try LibvirtDomain(ports: 1, on: forbidden)
        let status = applier(forbidden.hypervisor, root: forbidden.folder.path).apply(to: domain.name, on: .boot)
        #expect(status == .permission)
        #expect(try forbidden.virsh("domstate", "work") == "paused")
        for way in LibvirtDaemon.Way.allCases {
            let daemon = try LibvirtDaemon(way)
            daemon.stop()
            let work = try VMName("work")
            #expect(
                applier(daemon.hypervisor, root: daemon.folder.path).apply(to: work, on: .byHand) == .unreachable)
            #expect(reporter.texts(.failed).last?.contains("systemctl status libvirtd") == true)
        }
    }
}

/// A way to libvirt on which libvirtd is killed just before one of the questions.
private final class KillingTransport: LibvirtTransport {
    private let real: any LibvirtTransport
    private let left: Mutex<Int>
    private let kill: @Sendable () -> Void

    init(_ real: any LibvirtTransport, before question: Int, _ kill: @escaping @Sendable () -> Void) {
        self.real = real
        self.left = Mutex(question)
        self.kill = kill
    }

    var hasKilled: Bool { left.withLock { $0 < 0 } }

    private var next: any LibvirtTransport {
        let isNow = left.withLock { left in
            left -= 1
            return left == -1
        }
        if isNow { kill() }
        return real
    }

    func domains(active: Bool, by deadline: Deadline) throws(LibvirtFailure) -> [Hypervisors.LibvirtDomain] {
        try next.domains(active: active, by: deadline)
    }
    func state(of domain: String, by deadline: Deadline) throws(LibvirtFailure) -> LibvirtState {
        try next.state(of: domain, by: deadline)
    }
    var reachesQEMU: Bool { real.reachesQEMU }

    func converse(
        with domain: String, _ commands: [String], passing: Descriptor?, by deadline: Deadline
    ) throws(LibvirtFailure) -> [String] {
        try next.converse(with: domain, commands, passing: passing, by: deadline)
    }
    func description(of domain: String, by deadline: Deadline) throws(LibvirtFailure) -> String {
        try next.description(of: domain, by: deadline)
    }
    func storedDescription(of domain: String, by deadline: Deadline) throws(LibvirtFailure) -> String {
        try next.storedDescription(of: domain, by: deadline)
    }
    func attach(_ device: String, to domain: String, by deadline: Deadline) throws(LibvirtFailure) {
        try next.attach(device, to: domain, by: deadline)
    }
    func detach(
        _ device: String, alias: String, from domain: String, by deadline: Deadline
    ) throws(LibvirtFailure) {
        try next.detach(device, alias: alias, from: domain, by: deadline)
    }
    func reset(_ domain: String, by deadline: Deadline) throws(LibvirtFailure) {
        try next.reset(domain, by: deadline)
    }
    func resume(_ domain: String, by deadline: Deadline) throws(LibvirtFailure) {
        try next.resume(domain, by: deadline)
    }
    func destroy(_ domain: String, by deadline: Deadline) throws(LibvirtFailure) {
        try next.destroy(domain, by: deadline)
    }
    func waitForNews(of domain: String?, until deadline: Deadline) throws(LibvirtFailure) {
        try next.waitForNews(of: domain, until: deadline)
    }
}
