import Devices
import Foundation
import Hypervisors
import Platform
import TestSupport
import Testing

@Suite("Asking qubesd")
struct QubesAdminTests {
    private func host(_ release: QubesModel.Release = .r43) throws -> QubesdStandIn {
        let host = try QubesdStandIn(release)
        host.with { model in
            model.domains["work"] = QubesModel.Domain()
            model.domains["sys-usb"] = QubesModel.Domain()
            model.domains["sys-usb"]?.state = "Running"
            model.domains["sys-usb"]?.exposed["block"] = [
                QubesModel.Exposed("sda", ":None", [QubesRow.Property("serial", "Bob's stick")])
            ]
        }
        return host
    }

    @Test("VMs and their states", arguments: QubesModel.Release.allCases, [false, true])
    func domains(release: QubesModel.Release, untidy: Bool) throws {
        let host = try host(release)
        host.with { $0.isUntidy = untidy }
        #expect(
            try host.admin.domains().map { "\($0.name) \($0.state)" } == [
                "dom0 Running", "sys-usb Running", "work Halted",
            ])
        #expect(try host.admin.state(of: work) == "Halted")
        let devices = try #require(try host.admin.available([(sysUSB, .block)]).first?.get())
        #expect(devices.rows.map(\.device.name) == ["sys-usb:sda"])
        #expect(devices.faults.isEmpty)
    }

    @Test("What a release before 4.3 has stored is read; what it cannot store is an error that says so")
    func oldRelease() throws {
        let host = try host(.r42)
        host.with { $0.domains["work"]?.assigned["block"] = [QubesModel.Link("sys-usb", "sda")] }
        let stored = try #require(try host.admin.assigned([(work, .block)]).first?.get())
        #expect(stored.rows.map(\.mode) == ["required"])
        let assignment = try Assignment(
            target: work, device: DeviceReference(parsing: "sys-usb:sda", of: .block), options: .none)
        let error = #expect(throws: QubesError.self) { try host.admin.assign(assignment) }
        #expect(error?.kind == .unsupported)
        #expect(error?.description.contains("older than 4.3") == true)
        let attach = #expect(throws: QubesError.self) {
            try host.admin.attach(assignment.device, to: work, options: .none)
        }
        #expect(attach?.kind == .unsupported)
    }

    @Test(
        "All four classes are assigned, changed and unassigned through the server",
        arguments: [(DeviceClass.block, "sda"), (.usb, "2-1"), (.mic, "mic"), (.pci, "00_1f.2")],
        [QubesModel.Release.r43, .r44])
    func store(device: (DeviceClass, String), release: QubesModel.Release) throws {
        let host = try host(release)
        let source = device.0 == .pci || device.0 == .mic ? "dom0" : "sys-usb"
        let reference = try DeviceReference(parsing: "\(source):\(device.1)", of: device.0)
        try host.admin.assign(Assignment(target: work, device: reference, options: .none))
        try host.admin.setMode(.autoAttach, of: reference, to: work)
        let rows = try #require(try host.admin.assigned([(work, device.0)]).first?.get()).rows
        #expect(
            rows.map { "\(String(describing: $0.reference)) \($0.mode)" } == [
                "\(String(describing: Optional(reference))) auto-attach"
            ])
        try host.admin.unassign(reference, from: work)
        #expect(host.with { $0.domains["work"]?.assigned[device.0.rawValue] } == [])
    }

    @Test(
        "What goes wrong is told apart: could not ask, it said no, not understood",
        arguments: [
            (QubesdStandIn.Fault.empty, QubesError.Kind.noAnswer, "refused it or had an internal error"),
            (.half(1), .notUnderstood, "does not speak"), (.half(9), .notUnderstood, "cut off"),
            (.says(Array("HTTP/1.1 400 Bad Request".utf8)), .notUnderstood, "does not speak the Admin API"),
            (.says(Array("0\0\u{1b}[2J\n".utf8)), .notUnderstood, "not understood"),
            (.raises("KeyError", "'usb device 2-1'"), .exception("KeyError"), "usb device 2-1"),
        ])
    func faults(fault: QubesdStandIn.Fault, kind: QubesError.Kind, words: String) throws {
        let host = try host()
        host.script("admin.vm.List", fault)
        let error = #expect(throws: QubesError.self) { try host.admin.domains() }
        #expect(error?.kind == kind)
        #expect(error?.message.contains(words) == true, "\(String(describing: error))")
        #expect(error?.message.contains("'usb device") == false)
        #expect(error?.message.contains("\u{1b}") == false)
    }

    @Test("A qubesd that does not answer, or not to the end, is not waited for without end", arguments: [0, 5])
    func hangs(after count: Int) throws {
        let host = try host()
        host.script("admin.vm.List", .hangs(after: count))
        let admin = QubesAdmin(
            over: QubesdSocket(root: host.root), timeout: count == 0 ? .milliseconds(200) : .seconds(10))
        let error = #expect(throws: QubesError.self) { try admin.domains() }
        #expect(error?.kind == .unreachable)
        #expect(error?.message.contains("beginning") == (count > 0))
    }

    @Test("Where there is no qubesd it says what that means")
    func noSocket() throws {
        let admin = QubesAdmin(over: QubesdSocket(root: Root("/nonexistent")), timeout: .seconds(5))
        let error = #expect(throws: QubesError.self) { try admin.domains() }
        #expect(error?.kind == .unreachable)
        #expect(error?.message.contains("not dom0") == true)
    }

    @Test("One device with a hostile name hides no other, and cannot pass for another")
    func hostile() throws {
        let host = try host()
        let rows = [
            #"sda::None device_id=':None' port_id='sda' name='x\' port_id='sdb'"#,
            "sdb::None device_id=':None' port_id='sdb' name='fine'",
        ]
        host.script(
            "admin.vm.device.block.Available", .says(Array("0\0\(rows.joined(separator: "\n"))\n".utf8)))
        let list = try #require(try host.admin.available([(sysUSB, .block)]).first?.get())
        #expect(list.rows.map(\.device.name) == ["sys-usb:sdb"])
        #expect(list.faults.map(\.head) == ["sda::None"])
    }

    @Test("Many calls are all under way before the first is answered")
    func parallel() throws {
        let host = try host()
        host.script("admin.vm.device.block.Available+ sys-usb", .hangs(after: 3))
        let admin = QubesAdmin(over: QubesdSocket(root: host.root), timeout: .seconds(2))
        let wanted =
            [(source: sysUSB, deviceClass: DeviceClass.block)]
            + (0..<20).map { _ in (source: VMName.host, deviceClass: .usb) }
        let answers = admin.available(wanted)
        #expect(answers.count == 21)
        #expect(answers.filter { (try? $0.get()) != nil }.count == 20, "those behind the slow one are answered")
    }

    @Test("From a management VM the same calls go through qrexec-client-vm")
    func qrexec() throws {
        let host = try host()
        let bin = host.root.path("/usr/bin")
        try FileManager.default.createDirectory(atPath: bin, withIntermediateDirectories: true)
        try """
        #!/bin/sh
        { printf '%s\\n' "$1 $2"; cat; } >>'\(host.root.prefix)/asked'
        printf '0\\0work class=AppVM state=Running\\n'
        """.write(toFile: bin + "/qrexec-client-vm", atomically: true, encoding: .utf8)
        chmod(bin + "/qrexec-client-vm", 0o755)
        let admin = QubesAdmin(over: QrexecClient(root: host.root), timeout: .seconds(20))
        #expect(try admin.domains().map(\.name) == [work])
        #expect(try String(contentsOfFile: host.root.prefix + "/asked", encoding: .utf8) == "dom0 admin.vm.List+\n")
        let error = #expect(throws: QubesError.self) {
            try QubesAdmin(over: QrexecClient(root: Root("/nonexistent")), timeout: .seconds(5)).domains()
        }
        #expect(error?.kind == .unreachable)
    }
}
