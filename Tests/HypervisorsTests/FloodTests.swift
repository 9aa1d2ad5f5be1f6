import Devices
import Foundation
import Platform
import TestSupport
import Testing

@testable import Hypervisors

/// What QEMU, libvirt or qubesd say may be anything, since a guest may have broken out of the first and devices have their say
/// in all: more of it than there can be ends in the right answer or in an error, in bounded memory and before the deadline.
@Suite("Floods", .serialized, .timeLimit(.minutes(5)))
struct FloodTests {
    private static let count = 10_000

    // MARK: QEMU

    private func connection(_ script: ScriptedPeer.Step...) throws -> (QMPConnection, TemporaryFolder) {
        let folder = try TemporaryFolder()
        let peer = ScriptedPeer(at: folder.path + "/work.sock", [.greeting] + script + [.silence])
        let connection = try QMPConnection(
            greetedBy: UnixSocket.connect(to: peer.path), until: Deadline(after: .seconds(120)),
            timeout: .seconds(240))
        return (connection, folder)
    }

    @Test(
        "Ten thousand disks, PCI devices and objects of QEMU's are read; the last of them is found like the first")
    func manyDevices() throws {
        func list(_ element: (Int) -> String) -> ScriptedPeer.Step {
            let text = (0..<FloodTests.count).map(element).joined(separator: ", ")
            return .answer("{\"return\": [\(text)], \"id\": ID}\r\n")
        }
        let (connection, folder) = try connection(
            list { "{\"device\": \"\", \"qdev\": \"/machine/peripheral/d\($0)\"}" },
            list { "{\"bus\": \($0), \"devices\": [{\"qdev_id\": \"d\($0)\", \"slot\": 1, \"function\": 0}]}" },
            list { "{\"name\": \"d\($0)\", \"type\": \"child<pcie-root-port>\"}" })
        #expect(try connection.call(.disks).last?.qdev == "/machine/peripheral/d9999")
        #expect(try connection.call(.pci).last?.devices.first?.id == "d9999")
        #expect(try connection.call(.list("/machine/peripheral")).last?.childType == "pcie-root-port")
        withExtendedLifetime(folder) {}
    }

    @Test("Of thirty thousand events before an answer the last are kept, and the answer is taken")
    func manyEvents() throws {
        let events = (0..<30_000).map { "{\"event\": \"E\($0)\", \"data\": {\"x\": [1]}}\r\n" }.joined()
        let (connection, folder) = try connection(
            .answer(events + "{\"return\": {\"status\": \"running\"}, \"id\": ID}\r\n"))
        #expect(try connection.call(.status).status == "running")
        let soon = Deadline(after: .milliseconds(10))
        #expect(try connection.event(until: soon) { $0.name == "E0" } == nil, "all of them would fill the memory")
        withExtendedLifetime(folder) {}
    }

    @Test("One answer of 2 MiB is the longest that is taken")
    func longAnswer() throws {
        let (connection, folder) = try connection(
            .answer("{\"return\": {\"status\": \"\(String(repeating: "x", count: 3 << 20))"))
        let error = #expect(throws: QMPError.self) { try connection.call(.status) }
        #expect(error?.description.contains("without the end of a line") == true)
        withExtendedLifetime(folder) {}
    }

    // MARK: libvirt

    private func vm(_ devices: String) throws -> LibvirtVM {
        let transport = FloodingTransport(xml: "<domain><devices>\(devices)</devices></domain>")
        let process = try #require(ProcessIdentity(of: getpid()))
        return LibvirtVM(
            name: try VMName("work"), domain: "u", process: process, transport: transport, timeout: .seconds(60),
            isStarting: false)
    }

    @Test("Among ten thousand devices of a domain ours is found; a description without measure is refused")
    func manyHostdevs() throws {
        let others = (0..<FloodTests.count).map {
            "<hostdev mode='subsystem' type='usb'><source><address bus='1' device='\($0)'/></source>"
                + "<alias name='hostdev\($0)'/></hostdev>"
        }.joined()
        let ours = "<disk type='block'><target dev='vda'/><alias name='ua-vmdev-sda'/></disk>"
        let vm = try vm(others + ours)
        #expect(try vm.attachments().map(\.description) == ["vmdev-sda"])
        let endless = try self.vm(String(repeating: "<hostdev/>", count: 70_000) + ours)
        let error = #expect(throws: HypervisorError.self) { try endless.attachments() }
        #expect(error?.kind == .notUnderstood)
    }

    @Test(
        "Ten thousand domains that all have our alias count as one device of each, and names that are none are passed over"
    )
    func manyDomains() throws {
        let domains = (0..<FloodTests.count).map {
            Hypervisors.LibvirtDomain(uuid: "\($0)", name: $0 % 2 == 0 ? "vm\($0)" : "../\u{1b}[2J\($0)")
        }
        let libvirt = Libvirt(
            root: Root("/"), timeout: .seconds(60),
            way: LibvirtChoice(
                address: nil, virsh: Virsh(program: "", uri: "", environment: []),
                chosen: FloodingTransport(xml: "", domains: domains)))
        #expect(try libvirt.runningVMs().count == FloodTests.count / 2)
        let same = String(repeating: "<disk><alias name='ua-vmdev-sda'/></disk>", count: FloodTests.count)
        #expect(try vm(same).attachments().count == 1)
    }

    // MARK: qubesd

    @Test("Ten thousand devices of a VM are all there; an answer of more than 4 MiB is refused, not half read")
    func manyRows() throws {
        let host = try QubesdStandIn()
        let admin = QubesAdmin(over: QubesdSocket(root: host.root), timeout: .seconds(240))
        let sysUSB = try VMName("sys-usb")
        func exposes(_ serial: String) {
            host.with { model in
                model.domains["sys-usb"] = QubesModel.Domain(state: "Running")
                model.domains["sys-usb"]?.exposed["usb"] = (0..<FloodTests.count).map {
                    QubesModel.Exposed("\($0 / 900 + 1)-\($0 % 900 + 1)", "1050:0407:\($0)\(serial):u030101")
                }
            }
        }
        exposes("")
        let list = try #require(admin.available([(sysUSB, .usb)]).first).get()
        #expect(list.rows.count == FloodTests.count && list.faults.isEmpty)
        exposes(String(repeating: "S", count: 400))
        let error = #expect(throws: QubesError.self) { try admin.available([(sysUSB, .usb)]).first?.get() }
        #expect(error?.kind == .notUnderstood)
        #expect(error?.description.contains("longer than 4 MiB") == true)
    }
}

/// A libvirt that says one thing, however often it is asked.
private struct FloodingTransport: LibvirtTransport {
    let xml: String
    var domains: [Hypervisors.LibvirtDomain] = []

    func domains(active: Bool, by deadline: Deadline) throws(LibvirtFailure) -> [Hypervisors.LibvirtDomain] {
        domains
    }
    func state(of domain: String, by deadline: Deadline) throws(LibvirtFailure) -> LibvirtState {
        LibvirtState(state: "running", reason: "booted")
    }
    var reachesQEMU: Bool { false }

    func converse(
        with domain: String, _ commands: [String], passing: Descriptor?, by deadline: Deadline
    ) throws(LibvirtFailure) -> [String] { [] }
    func description(of domain: String, by deadline: Deadline) throws(LibvirtFailure) -> String { xml }
    func storedDescription(of domain: String, by deadline: Deadline) throws(LibvirtFailure) -> String { xml }
    func attach(_ device: String, to domain: String, by deadline: Deadline) throws(LibvirtFailure) {}
    func detach(_ device: String, alias: String, from domain: String, by deadline: Deadline) throws(LibvirtFailure)
    {}
    func reset(_ domain: String, by deadline: Deadline) throws(LibvirtFailure) {}
    func resume(_ domain: String, by deadline: Deadline) throws(LibvirtFailure) {}
    func destroy(_ domain: String, by deadline: Deadline) throws(LibvirtFailure) {}
    func waitForNews(of domain: String?, until deadline: Deadline) throws(LibvirtFailure) {}
}
