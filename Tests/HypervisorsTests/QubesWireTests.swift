import Devices
import Hypervisors
import Testing

@Suite("Qubes OS's Admin API on the wire, byte for byte")
struct QubesWireTests {
    private func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

    @Test(
        "A call is what qubesd's own client sends",
        arguments: [
            (AdminCall("admin.vm.List", to: .host), "admin.vm.List+ dom0 name dom0\0"),
            (AdminCall("admin.vm.CurrentState", to: work), "admin.vm.CurrentState+ dom0 name work\0"),
            (AdminCall("admin.deviceclass.List", to: .host), "admin.deviceclass.List+ dom0 name dom0\0"),
            (
                AdminCall("admin.vm.device.block.Available", to: sysUSB),
                "admin.vm.device.block.Available+ dom0 name sys-usb\0"
            ),
            (AdminCall("admin.vm.device.usb.Assigned", to: work), "admin.vm.device.usb.Assigned+ dom0 name work\0"),
            (AdminCall("admin.vm.Start", to: work), "admin.vm.Start+ dom0 name work\0"),
            (AdminCall("admin.Events", to: .host), "admin.Events+ dom0 name dom0\0"),
        ])
    func plainCalls(call: AdminCall, bytes: String) throws {
        #expect(text(try call.request()) == bytes)
    }

    @Test("A device in a call: argument and payload")
    func deviceCalls() throws {
        let stick = try DeviceReference(parsing: "sys-usb:2-1", of: .usb)
        let assign = AdminCall(
            "admin.vm.device.usb.Assign", stick.adminArgument, to: work,
            payload: stick.adminPayload(mode: "required", options: .none))
        #expect(
            text(try assign.request())
                == "admin.vm.device.usb.Assign+sys-usb+2-1+_ dom0 name work\0device_id='*' port_id='2-1' devclass='usb' backend_domain='sys-usb' mode='required'"
        )
        let disk = try DeviceReference(parsing: "sys-usb:sdb", of: .block)
        let attach = AdminCall(
            "admin.vm.device.block.Attach", disk.adminPortArgument, to: personal,
            payload: disk.adminPayload(
                mode: "manual", options: try DeviceOptions([("devtype", "cdrom")], of: .block)))
        #expect(
            text(try attach.request())
                == "admin.vm.device.block.Attach+sys-usb+sdb dom0 name personal\0device_id='*' port_id='sdb' devclass='block' backend_domain='sys-usb' mode='manual' _devtype='cdrom'"
        )
        #expect(
            text(try AdminCall("admin.vm.device.usb.Detach", stick.adminPortArgument, to: work).request())
                == "admin.vm.device.usb.Detach+sys-usb+2-1 dom0 name work\0")
        #expect(
            text(try AdminCall("admin.vm.device.usb.Unassign", stick.adminArgument, to: work).request())
                == "admin.vm.device.usb.Unassign+sys-usb+2-1+_ dom0 name work\0")
        let mode = AdminCall(
            "admin.vm.device.usb.Set.assignment", stick.adminArgument, to: work, payload: "auto-attach")
        #expect(
            text(try mode.request())
                == "admin.vm.device.usb.Set.assignment+sys-usb+2-1+_ dom0 name work\0auto-attach")
    }

    @Test(
        "Colons, stars and question marks of an identity are escaped",
        arguments: [
            ("sys-usb:2-1:1050:0407:123456:u030101u0b0000", "sys-usb+2-1+1050+0407+123456+u030101u0b0000"),
            ("sys-usb:2-1:0000:0000::?******", "sys-usb+2-1+0000+0000++_______"),
            ("sys-usb:*:1050:0407::u030101", "sys-usb+_+1050+0407++u030101"),
        ])
    func arguments(reference: String, argument: String) throws {
        #expect(try DeviceReference(parsing: reference, of: .usb).adminArgument == argument)
    }

    @Test("Answers: data, an exception, nothing, and what is none")
    func answers() throws {
        let state = "0\0mem=0 mem_static_max=0 cputime=0 power_state=Halted"
        #expect(AdminAnswer(parsing: Array(state.utf8)) == .data(Array(state.utf8.dropFirst(2))))
        #expect(AdminAnswer(parsing: Array("0\0".utf8)) == .data([]))
        let refused = "2\0DeviceNotAssigned\0\0'usb device 2-1 not attached to work'\0"
        #expect(
            AdminAnswer(parsing: Array(refused.utf8))
                == .exception(
                    type: "DeviceNotAssigned", message: "'usb device 2-1 not attached to work'", arguments: []))
        let missing = "2\0QubesException\0\0Usb device sys-usb:2-1:* not available\0"
        #expect(AdminAnswer(parsing: []) == .nothing)
        for answer in [state, "0\0", refused, missing] {
            #expect(AdminAnswer(parsing: Array(answer.utf8))?.bytes == Array(answer.utf8), "and back")
        }
        for wrong in ["0", "3\0x", "2\0Type", "2\0Type\0\0cut off", "HTTP/1.1 400", "\u{0}0"] {
            #expect(AdminAnswer(parsing: Array(wrong.utf8)) == nil, "\(wrong)")
        }
    }

    @Test(
        "Rows are read and written back byte for byte",
        arguments: [
            "sda::None device_id=':None' port_id='sda' devclass='block' backend_domain='sys-usb' manufacturer='hosted by sys-usb' name='DATA' serial='Stick' interfaces='b******'",
            "sys-usb+2-1:* device_id='*' port_id='2-1' devclass='usb' backend_domain='sys-usb' mode='required'",
            "sys-usb+sda::None device_id=':None' port_id='sda' devclass='block' backend_domain='sys-usb' mode='manual' frontend_domain='work' _read-only='no' _frontend-dev='xvdi'",
            #"2-1:1:2:: name='Bob\'s stick' serial='a=\'b\' c=d'"#, "x",
        ])
    func rows(line: String) throws {
        #expect(try QubesRow(parsing: Array(line.utf8), hasHead: true).text == line)
    }

    @Test("Key order and blanks do not matter, and unknown keys do no harm")
    func untidy() throws {
        let row = try QubesRow(
            parsing: Array(
                "sys-usb+2-1:*   mode='required'  new='x'   devclass='usb' device_id='*'  port_id='2-1' ".utf8),
            hasHead: true)
        let link = try QubesLink(row, of: .usb, target: work)
        #expect(link.reference?.description == "sys-usb:2-1")
        #expect(link.mode == "required")
        #expect(link.options.isEmpty)
    }

    @Test("Rows of releases before 4.3: no quotes, blanks in a description, persistent for required")
    func old() throws {
        let row = try QubesRow(parsing: Array("sys-usb+sda frontend-dev=xvdi persistent=yes".utf8), hasHead: true)
        let link = try QubesLink(row, of: .block, target: work)
        #expect(link.mode == "required")
        #expect(link.options == [QubesRow.Property("frontend-dev", "xvdi")])
        let disk = try QubesRow(
            parsing: Array("sda device_node=/dev/sda mode=r size=1024 description=A disk (mode=w 'x')".utf8),
            hasHead: true)
        #expect(disk["description"] == "A disk (mode=w 'x')")
        let device = try QubesDevice(disk, of: .block, source: sysUSB).device
        #expect(device.isReadOnly == true)
        #expect(device.name == "sys-usb:sda")
    }

    @Test(
        "What is no row is an error, never something else",
        arguments: [
            "", " ", "sda name='x", "sda name='x'y='z'", "sda name='x' word", "sda name='a' name='b'",
            #"sda name='x\' port_id='sda'"#, "sda name='\u{1b}[2J'", "sda name='ü'", "sda name='x'\0",
        ])
    func wrong(line: String) {
        #expect(throws: SyntaxError.self) { try QubesRow(parsing: Array(line.utf8), hasHead: true) }
    }

    @Test(
        "What a row says twice it has to say alike",
        arguments: [
            "sda::None port_id='sdb'", "sda::None device_id='x:1'", "sda::None devclass='usb'",
            "sda::None backend_domain='vault'", "../sda:x", "sda:",
        ])
    func contradicting(line: String) throws {
        let row = try QubesRow(parsing: Array(line.utf8), hasHead: true)
        #expect(throws: SyntaxError.self) { try QubesDevice(row, of: .block, source: sysUSB) }
    }

    @Test("A request that qubesd would read otherwise than meant is never sent")
    func unsendable() throws {
        #expect(throws: QubesError.self) { try AdminCall("admin.vm.List", "a b name dom0", to: work).request() }
        #expect(throws: QubesError.self) { try AdminCall("admin.vm.List", "a\0", to: work).request() }
        let long = String(repeating: "x", count: 65_536)
        #expect(throws: QubesError.self) { try AdminCall("admin.vm.List", to: work, payload: long).request() }
    }
}

let work = (try? VMName("work")) ?? .host
let personal = (try? VMName("personal")) ?? .host
let sysUSB = (try? VMName("sys-usb")) ?? .host
