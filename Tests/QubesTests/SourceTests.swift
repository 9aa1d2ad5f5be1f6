import Applying
import Devices
import HostDevices
import Hypervisors
import Platform
import Qubes
import Settings
import TestSupport
import Testing

@Suite("What the VMs of Qubes OS expose")
struct SourceTests {
    @Test("Devices of several classes come with one turn of questions")
    func devices() throws {
        let host = try standIn()
        let source = QubesSource(sysUSB, admin: host.admin)
        let references = [
            try DeviceReference(parsing: "sys-usb:sda", of: .block),
            try DeviceReference(parsing: "sys-usb:2-1", of: .usb),
        ]
        let names = try source.candidates(for: references).map { $0.map(\.name) }
        #expect(names == [["sys-usb:sda"], ["sys-usb:2-1"]])
        #expect(host.heard.count == 3)
    }

    @Test("A source that is halted, one that does not exist and a qubesd that hangs are told apart")
    func absent() throws {
        let host = try standIn()
        host.with { $0.domains["sys-usb"]?.state = "Halted" }
        let halted = #expect(throws: SourceError.self) {
            try QubesSource(sysUSB, admin: host.admin).devices(of: .usb)
        }
        #expect(halted?.kind == .notRunning)
        #expect(halted?.description.contains("halted") == true)
        let nobody = #expect(throws: SourceError.self) {
            try QubesSource(VMName("nobody"), admin: host.admin).devices(of: .usb)
        }
        #expect(nobody?.kind == .unknown)
        host.script("admin.vm.List", .hangs(after: 0))
        let admin = QubesAdmin(over: QubesdSocket(root: host.root), timeout: .milliseconds(200))
        let hanging = #expect(throws: SourceError.self) { try QubesSource(sysUSB, admin: admin).devices(of: .usb) }
        #expect(hanging?.kind == .unreachable)
    }

    @Test("A device with a hostile description is not there, and it is said why")
    func hostile() throws {
        let host = try standIn()
        host.script(
            "admin.vm.device.block.Available",
            .says(Array("0\0sda::None port_id='sda' name='x' port_id='sdb'\nsdb::None port_id='sdb'\n".utf8)))
        let source = QubesSource(sysUSB, admin: host.admin)
        #expect(try source.devices(of: .block).map(\.name) == ["sys-usb:sdb"])
        let absence = source.absence(of: try Port("sda", of: .block), in: .block)
        #expect(absence?.contains("not understood") == true)
        #expect(source.absence(of: try Port("sdc", of: .block), in: .block) == nil)
    }

    @Test("Qubes OS is chosen where its socket is, and by name")
    func choice() throws {
        let host = try standIn()
        let chosen = Host(root: host.root, settings: Settings())
        #expect(chosen.hypervisor.name == "Qubes OS")
        #expect(chosen.store is QubesStore)
        #expect(chosen.source(sysUSB)?.name == sysUSB)
        #expect(Host(root: Root("/nonexistent"), settings: Settings()).qubes == nil)
    }
}
