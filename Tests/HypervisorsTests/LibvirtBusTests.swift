import Devices
import Foundation
import Platform
import Systemd
import TestSupport
import Testing

@testable import Hypervisors

/// Which way is taken to libvirt, by D-Bus or by virsh.
@Suite(.needsQEMU, .needsLibvirt) struct LibvirtBusTests {
    @Test("Where libvirt-dbus is not installed, or no bus runs, libvirt is asked by virsh")
    func absent() throws {
        let daemon = try LibvirtDaemon(bus: .absent)
        let domain = try LibvirtDomain(on: daemon)
        #expect(try daemon.hypervisor.runningVMs() == [domain.name])
        daemon.bus?.stop()
        #expect(try daemon.hypervisor.runningVMs() == [domain.name])
    }

    @Test("What is forbidden on the bus is not tried by virsh: it is said that it is forbidden")
    func forbidden() throws {
        let daemon = try LibvirtDaemon(bus: .forbidden)
        let domain = try LibvirtDomain(on: daemon)
        #expect(try daemon.virsh("list", "--name") == "work", "virsh would do it")
        for attempt in [
            { _ = try daemon.hypervisor.runningVMs() },
            { _ = try daemon.hypervisor.connect(to: domain.name, until: Deadline(after: .zero), waiting: false) },
        ] {
            let error = #expect(throws: HypervisorError.self) { try attempt() }
            #expect(error?.kind == .forbidden)
            #expect(error?.remedy?.contains("group libvirt") == true)
        }
    }

    @Test("A libvirt-dbus that does not answer is told in time, and virsh is not asked in its place")
    func hanging() throws {
        let daemon = try LibvirtDaemon(.bus)
        let domain = try LibvirtDomain(on: daemon)
        let vm = try domain.connect()
        let pid = try #require(libvirtBus(of: daemon))
        kill(pid, SIGSTOP)
        defer { kill(pid, SIGKILL) }
        let impatient = Libvirt(root: Root(daemon.folder.path), connection: .system, timeout: .milliseconds(300))
        let error = #expect(throws: HypervisorError.self) { try impatient.runningVMs() }
        #expect(error?.kind == .unreachable)
        #expect(error?.message.contains("no answer in time") == true)
        kill(pid, SIGCONT)
        #expect(try vm.state() == .notStarted)
    }

    @Test("A libvirt-dbus that is killed is started anew, and knows the same")
    func killed() throws {
        let daemon = try LibvirtDaemon(.bus)
        let domain = try LibvirtDomain(on: daemon)
        let vm = try domain.connect()
        #expect(try vm.state() == .notStarted)
        let pid = try #require(libvirtBus(of: daemon))
        kill(pid, SIGKILL)
        while try ProcessHandle(pid: pid)?.waitForEnd(until: Deadline(after: .seconds(20))) == false {}
        #expect(try vm.attachments() == [])
        #expect(try daemon.hypervisor.runningVMs() == [domain.name])
        #expect(libvirtBus(of: daemon) != nil)
    }

    @Test("A bus that has gone is told, and the VM ends all the same")
    func busGone() throws {
        let daemon = try LibvirtDaemon(.bus)
        let domain = try LibvirtDomain(on: daemon)
        let vm = try domain.connect()
        daemon.bus?.stop()
        let error = #expect(throws: HypervisorError.self) { try vm.attachments() }
        #expect(error?.kind == .unreachable)
        try vm.end()
        guard case .lease(let holder) = vm.custody else {
            Issue.record("libvirt VMs have leases")
            return
        }
        #expect(!holder.process.isAlive)
        withExtendedLifetime(domain) {}
    }

    @Test(
        "What the bus and libvirt-dbus say is told apart: could not ask, may not, not running, refused",
        arguments: [
            ("org.freedesktop.DBus.Error.AccessDenied", "Rejected send message", "forbidden"),
            ("org.freedesktop.DBus.Error.NoReply", "Message recipient disconnected", "unreachable"),
            ("org.freedesktop.DBus.Error.ServiceUnknown", "The name is not activatable", "unreachable"),
            ("org.freedesktop.DBus.Error.UnknownMethod", "No such interface", "notUnderstood"),
            ("org.libvirt.Error", "Domain not found: no domain with matching uuid", "notRunning"),
            ("org.libvirt.Error", "authentication unavailable: no polkit agent available", "forbidden"),
            ("org.libvirt.Error", "Cannot access storage file '/dev/x': No such file or directory", "refused"),
        ])
    func words(name: String, text: String, kind: String) {
        #expect("\(LibvirtFailure(.answered(name: name, text: text)))".hasPrefix(kind))
    }

    @Test("A domain's state has the same words over D-Bus as by virsh")
    func states() {
        #expect(LibvirtState(state: 3, reason: 1) == LibvirtState(state: "paused", reason: "user"))
        #expect(LibvirtState(state: 3, reason: 5) == LibvirtState(state: "paused", reason: "I/O error"))
        #expect(LibvirtState(state: 5, reason: 3) == LibvirtState(state: "shut off", reason: "crashed"))
        #expect(LibvirtState(state: 99, reason: -1) == LibvirtState(state: "state 99", reason: ""))
    }

    /// The libvirt-dbus that the bus of that libvirtd has started.
    private func libvirtBus(of daemon: LibvirtDaemon) -> Int32? {
        let address = "DBUS_STARTER_ADDRESS=unix:path=\(daemon.folder.path)/run/dbus/system_bus_socket"
        return ((try? names(in: "/proc")) ?? []).compactMap { Int32($0) }.first { pid in
            guard let name = try? contents(of: "/proc/\(pid)/comm"), name == Array("libvirt-dbus\n".utf8),
                let environment = try? contents(of: "/proc/\(pid)/environ")
            else { return false }
            return String(decoding: environment, as: UTF8.self).contains(address)
        }
    }
}
