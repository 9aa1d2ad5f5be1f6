import Devices
import Hypervisors
import Platform
import TestSupport
import Testing

@Suite("A VM of Qubes OS")
struct QubesVMTests {
    private func host() throws -> QubesdStandIn {
        let host = try QubesdStandIn()
        host.with { model in
            for name in ["work", "personal"] { model.domains[name] = QubesModel.Domain(state: "Running") }
            model.domains["sys-usb"] = QubesModel.Domain(state: "Running")
            model.domains["sys-usb"]?.exposed["block"] = [
                QubesModel.Exposed("sda", ":None"), QubesModel.Exposed("sdb", ":None"),
            ]
            model.domains["dom0"]?.exposed["mic"] = [QubesModel.Exposed("mic", "dom0:mic::m000000")]
        }
        return host
    }

    private func request(
        _ name: String, _ deviceClass: DeviceClass = .block, options: [(String, String)] = [],
        readOnly: Bool = false
    ) throws -> AttachRequest {
        let reference = try DeviceReference(parsing: name, of: deviceClass)
        let port = try #require(reference.port)
        return AttachRequest(
            device: Device(
                deviceClass, source: reference.source, port: port,
                identities: reference.identity.map { [$0] } ?? [], title: "",
                canonical: CanonicalDevice(key: QubesDevice.key(reference.source, deviceClass, port))),
            options: try DeviceOptions(options.map { (key: $0.0, value: $0.1) }, of: deviceClass),
            readOnly: readOnly, backing: .byName)
    }

    private func vm(_ host: QubesdStandIn, _ name: VMName) throws -> any RunningVM {
        try Qubes(host.admin).connect(to: name, until: Deadline(after: .seconds(20)), waiting: false)
    }

    @Test("A disk that another VM has is refused with that VM's name (issue 4692); a microphone may be shared")
    func exclusive() throws {
        let host = try host()
        let disk = try request("sys-usb:sda")
        try vm(host, work).attach(disk)
        let error = #expect(throws: HypervisorError.self) { try vm(host, personal).attach(disk) }
        #expect(error?.kind == .taken)
        #expect(error?.message.contains("work") == true)
        for name in [work, personal] {
            let microphone = try request("dom0:mic", .mic)
            try vm(host, name).attach(microphone)
            #expect(try vm(host, name).verify([microphone]) == [nil])
        }
    }

    @Test("The identity goes along, so that a list of denied devices refuses nothing that it could look up")
    func denyList() throws {
        let host = try host()
        host.with { $0.domains["work"]?.hasDenyList = true }
        let disk = try request("sys-usb:sda::None")
        try vm(host, work).attach(disk)
        #expect(try vm(host, work).verify([disk]) == [nil])
        #expect(host.heard.contains("admin.vm.device.block.Attach+sys-usb+sda++None work"))
    }

    @Test("A yes that attached nothing, or something else than was asked for, does not pass")
    func silent() throws {
        let host = try host()
        host.with { $0.domains["work"]?.attachesNothing = true }
        let disk = try request("sys-usb:sda")
        try vm(host, work).attach(disk)
        #expect(try vm(host, work).verify([disk]).first??.kind == .notVerified)
        host.with { model in
            model.domains["work"]?.attached["block"] = [
                QubesModel.Link("sys-usb", "sda", ":None", mode: "manual", [QubesRow.Property("read-only", "no")])
            ]
        }
        let readOnly = try vm(host, work).verify([request("sys-usb:sda", readOnly: true)])
        #expect(readOnly.first??.message.contains("for writing") == true)
        let other = try vm(host, work).verify([request("sys-usb:sda:dead:beef")])
        #expect(other.first??.message.contains("not dead:beef") == true)
    }

    @Test("Two disks cannot have one name in the VM")
    func names() throws {
        let host = try host()
        let requests = [
            try request("sys-usb:sda", options: [("frontend-dev", "xvdj")]),
            try request("sys-usb:sdb", options: [("frontend-dev", "xvdj")]),
        ]
        #expect(try vm(host, work).place(requests).map { $0?.kind } == [nil, .noRoom])
    }

    @Test("A VM that is on its way is waited for; one that is halted or unknown is told at once")
    func states() throws {
        let host = try host()
        host.with { $0.domains["work"]?.state = "Halted" }
        let qubes = Qubes(host.admin)
        for (name, words) in [(work, "not running (halted)"), (try VMName("nobody"), "there is no VM nobody")] {
            let error = #expect(throws: HypervisorError.self) {
                try qubes.connect(to: name, until: Deadline(after: .seconds(20)), waiting: true)
            }
            #expect(error?.kind == .notRunning)
            #expect(error?.message.contains(words) == true)
        }
    }
}
