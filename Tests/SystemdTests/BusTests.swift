import Foundation
import Platform
import TestSupport
import Testing

@testable import Systemd

/// A connection to a bus, on a real dbus-daemon of our own.
@Suite(
    .enabled(
        if: ProcessInfo.processInfo.environment["CI"] != nil
            || getuid() == 0 && FileManager.default.isExecutableFile(atPath: "/usr/bin/dbus-daemon"),
        "needs root and dbus-daemon (dbus)"))
struct BusTests {
    private let folder = "/tmp/vmdev-bus-\(UUID().uuidString.prefix(8))"
    private let soon = Deadline(after: .seconds(60))
    private func daemon(_ member: String) -> Bus.Method {
        Bus.Method("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", member)
    }

    @Test("What a service answers is read: texts, lists, numbers, truths, what is in variants")
    func answers() throws {
        let daemon = try MessageBus(root: folder, service: .absent)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let bus = try Bus(address: "unix:path=\(daemon.socket)", until: soon)
        let names = try #require(try bus.call(self.daemon("ListNames"), until: soon).first?.list)
        #expect(names.contains(.string("org.freedesktop.DBus")))
        let owned = try bus.call(self.daemon("NameHasOwner"), [.string("org.freedesktop.DBus")], until: soon)
        #expect(owned == [.boolean(true)])
        let user = try bus.call(
            self.daemon("GetConnectionUnixUser"), [.string("org.freedesktop.DBus")], until: soon)
        #expect(user.first?.number == Int(getuid()))
        let get = Bus.Method(
            "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus.Properties", "Get")
        let features = try bus.call(get, [.string("org.freedesktop.DBus"), .string("Features")], until: soon)
        guard case .variant(.list(let list))? = features.first else {
            Issue.record("\(features)")
            return
        }
        #expect(list.allSatisfy { $0.text != nil })
    }

    @Test("An answer of a form that is not known is that, and the connection goes on")
    func unknownForm() throws {
        let daemon = try MessageBus(root: folder, service: .absent)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let bus = try Bus(address: "unix:path=\(daemon.socket)", until: soon)
        #expect(throws: BusError.notUnderstood) {
            try bus.call(
                self.daemon("GetConnectionCredentials"), [.string("org.freedesktop.DBus")], until: soon)
        }
        #expect(try bus.call(self.daemon("GetId"), until: soon).count == 1)
    }

    @Test("An error has its name; one whom nobody knows is one")
    func errors() throws {
        let daemon = try MessageBus(root: folder, service: .absent)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let bus = try Bus(address: "unix:path=\(daemon.socket)", until: soon)
        let error = #expect(throws: BusError.self) {
            try bus.call(Bus.Method("org.libvirt", "/", "org.freedesktop.DBus.Peer", "Ping"), until: soon)
        }
        guard case .answered("org.freedesktop.DBus.Error.ServiceUnknown", let text)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(text.contains("org.libvirt"))
    }

    @Test("No bus, a bus that hangs, and one that goes are told apart, none of them later than asked for")
    func trouble() throws {
        let daemon = try MessageBus(root: folder, service: .absent)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let error = #expect(throws: BusError.self) {
            try Bus(address: "unix:path=\(folder)/nothing", until: soon)
        }
        guard case .noBus(let reason)? = error, reason.isMissing else {
            Issue.record("\(String(describing: error))")
            return
        }
        let bus = try Bus(address: "unix:path=\(daemon.socket)", until: soon)
        daemon.hang()
        #expect(throws: BusError.silent) {
            try bus.call(self.daemon("GetId"), until: Deadline(after: .milliseconds(50)))
        }
        #expect(throws: BusError.silent) {
            try Bus(address: "unix:path=\(daemon.socket)", until: Deadline(after: .milliseconds(50)))
        }
        daemon.stop()
        let gone = #expect(throws: BusError.self) { try bus.call(self.daemon("GetId"), until: soon) }
        guard case .broken? = gone else {
            Issue.record("\(String(describing: gone))")
            return
        }
    }

    @Test("A signal is waited for, and one that came during a call is not missed")
    func signals() throws {
        let daemon = try MessageBus(root: folder, service: .absent)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let bus = try Bus(address: "unix:path=\(daemon.socket)", until: soon)
        try bus.listen(to: "org.freedesktop.DBus")
        try bus.waitForSignal(until: Deadline(after: .milliseconds(50)))
        _ = try bus.call(self.daemon("RequestName"), [.string("org.example.vmdev"), .unsigned(0)], until: soon)
        let watch = Stopwatch()
        // NameAcquired, which came with the answer.
        try bus.waitForSignal(until: Deadline(after: .seconds(600)))
        #expect(watch.elapsed < .seconds(500))
    }
}
