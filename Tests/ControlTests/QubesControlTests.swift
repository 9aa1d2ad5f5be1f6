import Applying
import Assignments
import Control
import Devices
import Hypervisors
import Platform
import Qubes
import TestSupport
import Testing

/// The command line's work on a Qubes OS: a VM that runs, one that is halted, and the VM that has the sticks.
@Suite("vmdevctl on Qubes OS")
struct QubesControlTests {
    let work: VMName
    let vault: VMName
    let sysUSB: VMName

    init() throws {
        sysUSB = try VMName("sys-usb")
        work = try VMName("work")
        vault = try VMName("vault")
    }

    private func standIn(_ release: QubesModel.Release = .r43) throws -> QubesdStandIn {
        let host = try QubesdStandIn(release)
        host.with { model in
            model.domains["work"] = QubesModel.Domain(state: "Running")
            model.domains["vault"] = QubesModel.Domain()
            model.domains["sys-usb"] = QubesModel.Domain(state: "Running")
            model.domains["sys-usb"]?.exposed = [
                "block": [
                    QubesModel.Exposed("sda", "0781:5567:4C53:u080650:1", [QubesRow.Property("serial", "Stick")]),
                    QubesModel.Exposed("sdb", ":None", [QubesRow.Property("name", "DATA")]),
                ],
                "usb": [QubesModel.Exposed("2-1", "1050:0407:1:u030101", [QubesRow.Property("product", "Key")])],
            ]
            model.domains["dom0"]?.exposed = [
                "mic": [QubesModel.Exposed("mic", "dom0:mic::m000000")],
                "pci": [
                    QubesModel.Exposed(
                        "00_1c.0-00_00.0", "8086:2725::p028000", [QubesRow.Property("_sbdf", "0000:aa:00.0")])
                ],
            ]
        }
        return host
    }

    private func controller(_ host: QubesdStandIn, timeout: Duration = .seconds(20)) -> Controller {
        let admin = QubesAdmin(over: QubesdSocket(root: host.root), timeout: timeout)
        let (store, hypervisor) = (QubesStore(admin), Qubes(admin))
        let sources = [VMName.host, sysUSB].map { QubesSource($0, admin: admin) }
        let applier = Applier(
            store: store, sources: sources, hypervisor: hypervisor, root: host.root,
            reporter: Recorder(), timeout: timeout)
        return Controller(
            applier: applier, store: store, sources: [QubesSource(.host, admin: admin)], hypervisor: hypervisor,
            locks: LockFolder(root: host.root), qubes: admin)
    }

    private func device(_ text: String, _ deviceClass: DeviceClass) throws -> DeviceReference {
        try DeviceReference(parsing: text, of: deviceClass)
    }

    private func stored(_ host: QubesdStandIn, _ vm: VMName) throws -> [String] {
        try QubesStore(host.admin).assignments(of: vm).assignments.map {
            "\($0.device.deviceClass) \($0.device) \($0.mode)"
        }
    }

    private func lines(_ survey: Survey, assignments: Bool = false, addresses: Bool = false) -> [String] {
        render(
            survey.rows(of: nil, withAssignments: assignments),
            ListStyle(
                form: .off, hasLegend: true, withAssignments: assignments, withIdentities: false,
                withAddresses: addresses)
        ).split(separator: "\n").map(String.init)
    }

    // MARK: list

    @Test("list has qvm-device's columns: what there is, who has it and how, and what is stored with a star")
    func list() throws {
        let host = try standIn()
        host.with { model in
            model.domains["work"]?.attached["block"] = [
                QubesModel.Link(
                    "sys-usb", "sda", "0781:5567:4C53:u080650:1", mode: "manual",
                    [QubesRow.Property("frontend-dev", "xvdi"), QubesRow.Property("read-only", "no")])
            ]
            model.domains["vault"]?.assigned["block"] = [
                QubesModel.Link("sys-usb", "sdb", mode: "ask-to-attach"), QubesModel.Link("sys-usb", "sdc"),
            ]
        }
        let survey = try controller(host).survey(.block)
        #expect(
            lines(survey, assignments: true) == [
                "BACKEND:DEVID  DESCRIPTION  USED BY",
                "sys-usb:sda    Stick        work (attached: frontend-dev=xvdi, read-only=no)",
                "sys-usb:sdb    DATA         *vault (ask-to-attach)",
                "sys-usb:sdc    (not there)  *vault (required)",
            ])
        #expect(
            lines(try controller(host).survey(.pci), addresses: true) == [
                "BACKEND:DEVID         SBDF          DESCRIPTION  USED BY", "dom0:00_1c.0-00_00.0  0000:aa:00.0",
            ])
    }

    @Test("What is stored is listed while the VM and the source VM are halted (issue 3437)")
    func offline() throws {
        let host = try standIn()
        host.with { model in
            model.domains["sys-usb"]?.state = "Halted"
            model.domains["vault"]?.assigned["usb"] = [
                QubesModel.Link("sys-usb", "2-1"), QubesModel.Link("sys-usb", "3-2", mode: "auto-attach"),
            ]
        }
        #expect(
            lines(try controller(host).survey(.usb), assignments: true).dropFirst().map { $0 } == [
                "sys-usb:2-1    (not there)  *vault (required)", "sys-usb:3-2    (not there)  *vault (auto-attach)",
            ])
    }

    @Test("Who asks for one VM is shown its assignments, not those of others (issues 9890 and 9881)")
    func strict() throws {
        let host = try standIn()
        host.with { model in
            for name in ["work", "vault"] {
                model.domains[name]?.assigned["usb"] = [QubesModel.Link("sys-usb", "2-1")]
            }
        }
        let rows = try controller(host).survey(.usb).rows(of: [vault], withAssignments: true)
        #expect(rows.map { $0.users(withAssignments: true) } == [["*vault (required)"]])
        let all = try controller(host).survey(.usb).rows(of: [sysUSB], withAssignments: true)
        #expect(all.map { $0.users(withAssignments: true).count } == [2])
    }

    @Test(
        "list takes two round trips, whatever the release, and however many VMs there are",
        arguments: [
            (QubesModel.Release.r42, false, 5), (.r42, true, 6), (.r43, false, 5), (.r43, true, 8), (.r44, true, 8),
        ])
    func turns(release: QubesModel.Release, withAssignments: Bool, count: Int) throws {
        let host = try standIn(release)
        host.expectTurns([2, count])
        let survey = try controller(host).survey(.block, withAssignments: withAssignments)
        #expect(survey.devices.map(\.name).contains("sys-usb:sda"))
        #expect(survey.warnings == [])
        #expect(host.heard.count == 2 + count)
    }

    @Test(
        "A qubesd that hangs is not waited for without end, in either turn", arguments: ["List", "device.block.Av"])
    func hangs(call: String) throws {
        let host = try standIn()
        host.script("admin.vm.\(call)", .hangs(after: 3))
        let failure = #expect(throws: Failure.self) {
            try controller(host, timeout: .milliseconds(200)).survey(.block)
        }
        #expect(failure?.status == .unreachable)
        #expect(failure?.text.contains("no answer in time") == true)
    }

    @Test("What one VM does not tell is a warning, and the others are listed")
    func refusing() throws {
        let host = try standIn()
        host.script("admin.vm.device.usb.Available+ work", .empty)
        let survey = try controller(host).survey(.usb)
        #expect(survey.devices.map(\.name) == ["sys-usb:2-1"])
        #expect(survey.warnings.count == 1)
    }

    @Test("What a device says of itself reaches no terminal raw, and hides no other device")
    func hostile() throws {
        let host = try standIn()
        let rows = [
            #"sda::None device_id=':None' port_id='sda' name='x\' port_id='sdb'"#,
            "sdb::None device_id=':None' port_id='sdb' name='\u{1b}[2Jevil'",
            "sdc::None device_id=':None' port_id='sdc' name='fine'",
        ]
        host.script(
            "admin.vm.device.block.Available+ sys-usb", .says(Array("0\0\(rows.joined(separator: "\n"))\n".utf8)))
        let survey = try controller(host).survey(.block)
        #expect(survey.devices.map(\.name) == ["sys-usb:sdc"])
        #expect(survey.warnings.count == 2)
        let all = (lines(survey) + survey.warnings).joined()
        #expect(all.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value < 0x7f || $0 == "…" }, "\(all)")
    }

    @Test("A VM that does not exist is named")
    func unknownVM() throws {
        let host = try standIn()
        let survey = try controller(host).survey(.usb)
        let failure = #expect(throws: Failure.self) { try survey.check([VMName("nobody")]) }
        #expect(failure?.status == .usage)
        try survey.check([work, vault])
    }

    // MARK: assign

    @Test(
        "attach --persistent works for USB devices and microphones too, on a halted VM as well (issue 4718)",
        arguments: [true, false])
    func persistent(isRunning: Bool) throws {
        let host = try standIn()
        let vm = isRunning ? work : vault
        for (name, deviceClass) in [("sys-usb:2-1", DeviceClass.usb), ("dom0:mic", .mic)] {
            _ = try controller(host).attach(
                device(name, deviceClass), to: vm, options: .none, persistent: true)
            #expect(
                host.with { $0.domains[vm.description]?.attached[deviceClass.rawValue]?.count ?? 0 }
                    == (isRunning ? 1 : 0))
        }
        #expect(
            try stored(host, vm) == [
                "usb sys-usb:2-1:1050:0407:1:u030101 required", "mic dom0:mic:dom0:mic::m000000 required",
            ])
    }

    @Test("A disk is stored by its port, not by the stick around it, unless that is asked for (issue 10741)")
    func portOnly() throws {
        let host = try standIn()
        let controller = controller(host)
        let disk = try device("sys-usb:sda", .block)
        _ = try controller.attach(disk, to: work, options: .none, persistent: true)
        #expect(try stored(host, work) == ["block sys-usb:sda required"])
        _ = try controller.assign(disk, to: vault, mode: .required, options: .none, pin: .both)
        #expect(try stored(host, vault) == ["block sys-usb:sda required"])
        _ = try controller.unassign(nil, of: .block, from: vault)
        _ = try controller.assign(
            device("sys-usb:sda:0781:5567:4C53:u080650:1", .block), to: vault, mode: .required, options: .none,
            pin: .both)
        #expect(try stored(host, vault) == ["block sys-usb:sda:0781:5567:4C53:u080650:1 required"])
        let failure = #expect(throws: Failure.self) {
            try controller.assign(
                device("sys-usb:sdb", .block), to: vault, mode: .required, options: .none, pin: .identity)
        }
        #expect(failure?.text.contains("no identity of its own") == true)
    }

    @Test("Two disks that would have one name in the VM are refused before anything is stored (issue 5551)")
    func clash() throws {
        let host = try standIn()
        let controller = controller(host)
        let (first, second) = (try device("sys-usb:sda", .block), try device("sys-usb:sdb", .block))
        _ = try controller.assign(first, to: vault, mode: .required, options: .none, pin: .both)
        for persistent in [true, false] {
            let failure = #expect(throws: Failure.self) {
                if persistent {
                    _ = try controller.attach(second, to: vault, options: .none, persistent: true)
                } else {
                    _ = try controller.assign(second, to: vault, mode: .required, options: .none, pin: .both)
                }
            }
            #expect(failure?.status == .tableWrong)
            for word in ["sys-usb:sda", "sys-usb:sdb", "xvdi", "frontend-dev=xvdj"] {
                #expect(failure?.text.contains(word) == true, "\(String(describing: failure))")
            }
        }
        #expect(try stored(host, vault) == ["block sys-usb:sda required"])
        let named = try DeviceOptions([("frontend-dev", "xvdj")], of: .block)
        _ = try controller.assign(second, to: vault, mode: .required, options: named, pin: .both)
        #expect(try stored(host, vault).count == 2)
    }

    @Test("verify finds what another tool has stored wrong")
    func verify() throws {
        let host = try standIn()
        #expect(try controller(host).verify().problems == [])
        host.with { model in
            model.domains["vault"]?.assigned["block"] = [
                QubesModel.Link("sys-usb", "sda"), QubesModel.Link("sys-usb", "sdb"),
                QubesModel.Link("sys-usb", "sdc", mode: "required", [QubesRow.Property("frontend-dev", "bogus!")]),
            ]
        }
        let problems = try controller(host).verify().problems
        #expect(problems.count == 2)
        #expect(problems.contains { $0.contains("would both be xvdi") })
        #expect(problems.contains { $0.contains("bogus!") })
    }

    @Test("ask-to-attach is stored for Qubes OS to ask, and refused where nobody asks")
    func ask() throws {
        let host = try standIn()
        let stick = try device("sys-usb:2-1", .usb)
        _ = try controller(host).assign(stick, to: vault, mode: .askToAttach, options: .none, pin: .port)
        #expect(try stored(host, vault) == ["usb sys-usb:2-1 ask-to-attach"])
        let table = AssignmentTable(root: host.root)
        #expect(table.objection(to: .askToAttach)?.contains("only Qubes OS") == true)
    }

    @Test("Options that qubesd does not keep are refused, with those that it does")
    func options() throws {
        let host = try standIn()
        let failure = #expect(throws: Failure.self) {
            try controller(host).assign(
                device("sys-usb:2-1", .usb), to: vault, mode: .required,
                options: DeviceOptions([("timeout", "10s")], of: .usb), pin: .both)
        }
        #expect(failure?.text.contains("timeout cannot be honoured on Qubes OS") == true)
        #expect(host.heard.allSatisfy { !$0.contains("Assign+") })
    }

    // MARK: taking away

    @Test("unassign can be told to mean the port, or the identity, alone")
    func unassignOnly() throws {
        let host = try standIn()
        host.with {
            $0.domains["vault"]?.assigned["usb"] = [
                QubesModel.Link("sys-usb", "2-1"), QubesModel.Link("sys-usb", "*", "1050:0407:1:u030101"),
                QubesModel.Link("sys-usb", "2-1", "1050:0407:1:u030101"),
            ]
        }
        let controller = controller(host)
        #expect(try controller.unassign(nil, of: .usb, from: vault, only: .port).count == 1)
        #expect(try controller.unassign(nil, of: .usb, from: vault, only: .identity).count == 1)
        #expect(try stored(host, vault) == ["usb sys-usb:2-1:1050:0407:1:u030101 required"])
    }

    @Test("A microphone that is required can be taken away again (issue 6217)")
    func microphone() throws {
        let host = try standIn()
        let microphone = try device("dom0:mic", .mic)
        _ = try controller(host).attach(microphone, to: work, options: .none, persistent: true)
        _ = try controller(host).detach(microphone, of: .mic, from: work)
        #expect(host.with { $0.domains["work"]?.attached["mic"] } == [])
        #expect(try stored(host, work) == [])
    }

    @Test("detach ends what is required as well, in Qubes OS's order, and works when the device has gone")
    func detach() throws {
        let host = try standIn()
        host.with { model in
            model.domains["work"]?.assigned["usb"] = [QubesModel.Link("sys-usb", "2-1")]
            model.boot("work")
            model.domains["sys-usb"]?.exposed["usb"] = []
        }
        _ = try controller(host).detach(device("sys-usb:2-1", .usb), of: .usb, from: work)
        #expect(host.with { $0.domains["work"]?.attached["usb"] } == [])
        #expect(try stored(host, work) == [])
        let changes = host.heard.filter { $0.contains("Unassign") || $0.contains("Detach") }
        #expect(changes.map { $0.contains("Unassign") } == [true, false])
    }

    @Test(
        "What is assigned of a VM that does not run, or does not exist any more, can be removed (issues 9826 and 10895)",
        arguments: ["Halted", nil])
    func vanished(state: String?) throws {
        let host = try standIn()
        host.with { model in
            model.domains["vault"]?.assigned["usb"] = [QubesModel.Link("sys-usb", "2-1", "dead:beef::u000000")]
            if let state { model.domains["sys-usb"]?.state = state } else { model.domains["sys-usb"] = nil }
        }
        _ = try controller(host).detach(device("sys-usb:2-1", .usb), of: .usb, from: vault)
        #expect(try stored(host, vault) == [])
    }
}
