import Foundation
import Hypervisors
import Platform
import TestSupport
import Testing

/// The program in the place of Qubes OS's own tools.
@Suite("Called as qvm-device and its kin on Qubes OS")
struct QubesToolTests {
    private func standIn() throws -> QubesdStandIn {
        let host = try QubesdStandIn(.r43)
        host.with { model in
            model.domains["work"] = QubesModel.Domain()
            model.domains["sys-usb"] = QubesModel.Domain(state: "Running")
            model.domains["sys-usb"]?.exposed["usb"] = [QubesModel.Exposed("2-1", "1050:0407:1:u030101")]
        }
        return host
    }

    @Test(
        "It ends with 0, 1 and 2 as they do, in words and without a traceback",
        arguments: [
            ("qvm-usb list", 0, ""), ("qvm-device usb ls work", 0, ""), ("qvm-device --list-device-classes", 0, ""),
            ("qvm-usb --help", 0, ""), ("qvm-usb assign work sys-usb:2-1", 0, "assigned (auto-attach)"),
            ("qvm-usb a -p work sys-usb:2-1", 0, "assigned (required)"),
            ("qvm-usb attach work sys-usb:2-1", 1, "does not run"),
            ("qvm-usb attach work sys-usb:3-1", 1, "sys-usb:3-1"),
            ("qvm-usb detach work sys-usb:2-1", 1, "neither attached nor assigned"),
            ("qvm-usb list nobody", 2, "there is no VM nobody"), ("qvm-usb attach work 2-1", 2, "SOURCE:PORT"),
            ("qvm-usb attach work nobody:2-1", 2, "there is no VM nobody"),
            ("qvm-usb attach work sys-usb:2-1 -o bad", 2, "NAME=VALUE"), ("qvm-device nosuch list", 2, ""),
            ("qvm-device", 2, ""), ("qvm-usb list --exclude work", 2, "--all"),
            ("qvm-block assign --ask --required work sys-usb:sda", 2, "exclude each other"),
        ])
    func statuses(call: String, status: Int32, words: String) throws {
        let host = try standIn()
        let line = call.split(separator: " ").map(String.init)
        let outcome = try run(
            program("vmdevctl"), ["--root=\(host.root.prefix)"] + line.dropFirst(), calledAs: line[0])
        #expect(outcome.status == status, "\(outcome)")
        #expect(words.isEmpty || outcome.errors.contains(words), "\(outcome)")
        #expect(status == 0 || !outcome.errors.isEmpty)
        #expect(!outcome.errors.contains("Traceback"))
    }

    @Test(
        "The options of a class stand in its help (issue 3204)",
        arguments: [("qvm-block", "frontend-dev"), ("qvm-pci", "permissive")])
    func help(name: String, option: String) throws {
        let host = try standIn()
        for action in ["attach", "assign"] {
            let outcome = try run(
                program("vmdevctl"), ["--root=\(host.root.prefix)", action, "--help"], calledAs: name)
            #expect(outcome.status == 0 && outcome.output.contains(option), "\(outcome)")
        }
    }

    @Test("By its own name it keeps to sysexits, and says what a hanging qubesd means")
    func own() throws {
        let host = try standIn()
        try FileManager.default.createDirectory(
            atPath: host.root.path("/etc/vmdev"), withIntermediateDirectories: true)
        try "[Qubes]\nTimeoutSec=300ms\n".write(
            toFile: host.root.path("/etc/vmdev/vmdev.conf"), atomically: true, encoding: .utf8)
        host.script("admin.vm.List", .hangs(after: 0))
        for (name, status) in [("vmdevctl", Int32(75)), ("qvm-device", 1)] {
            let outcome = try run(
                program("vmdevctl"), ["--root=\(host.root.prefix)", "usb", "list"], calledAs: name)
            #expect(outcome.status == status, "\(outcome)")
            #expect(outcome.errors.contains("\(name): ") && outcome.errors.contains("no answer in time"))
        }
    }
}
