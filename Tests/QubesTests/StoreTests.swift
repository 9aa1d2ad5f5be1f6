import Assignments
import Devices
import Hypervisors
import Qubes
import TestSupport
import Testing

let work = (try? VMName("work")) ?? .host
let sysUSB = (try? VMName("sys-usb")) ?? .host

/// A qubesd with a VM that exposes a stick and a disk, and one that is to get them.
func standIn(_ release: QubesModel.Release = .r43) throws -> QubesdStandIn {
    let host = try QubesdStandIn(release)
    host.with { model in
        model.domains["work"] = QubesModel.Domain()
        model.domains["vault"] = QubesModel.Domain()
        model.domains["sys-usb"] = QubesModel.Domain(state: "Running")
        model.domains["sys-usb"]?.exposed["block"] = [QubesModel.Exposed("sda", ":None")]
        model.domains["sys-usb"]?.exposed["usb"] = [QubesModel.Exposed("2-1", "1050:0407:1:u030101")]
        model.domains["dom0"]?.exposed["mic"] = [QubesModel.Exposed("mic", "dom0:mic::m000000")]
        model.domains["dom0"]?.exposed["pci"] = [QubesModel.Exposed("00_1f.2", "8086:a2a1:1:p020000")]
    }
    return host
}

/// `work usb sys-usb:2-1 required k=v`.
func wish(_ text: String) throws -> Assignment {
    let fields = text.split(separator: " ").map(String.init)
    let deviceClass = try DeviceClass(parsing: fields[1])
    let options = try fields.dropFirst(4).map { try DeviceOptions.pair(parsing: $0) }
    return try Assignment(
        target: VMName(fields[0]), device: DeviceReference(parsing: fields[2], of: deviceClass),
        mode: try #require(AssignmentMode(rawValue: fields[3])), options: DeviceOptions(options, of: deviceClass))
}

@Suite("Assignments that qubesd keeps")
struct StoreTests {
    @Test(
        "All four classes are stored as required, told, changed in mode, and removed",
        arguments: ["block sys-usb:sda", "usb sys-usb:2-1", "pci dom0:00_1f.2", "mic dom0:mic"],
        [QubesModel.Release.r43, .r44])
    func allClasses(device: String, release: QubesModel.Release) throws {
        let host = try standIn(release)
        let store = QubesStore(host.admin)
        let required = try wish("work \(device) required")
        let optional = try wish("work \(device) auto-attach")
        #expect(try store.add(required) == .added)
        #expect(try store.add(required) == .alreadySo)
        #expect(try store.add(optional) == .changed(from: required))
        #expect(try store.assignments(of: work).assignments == [optional])
        #expect(try store.allAssignments().assignments == [optional])
        #expect(try store.remove(from: work) { _ in true } == [optional])
        #expect(try store.allAssignments() == TableReading())
    }

    @Test("Other options take the place of the stored ones; ask-to-attach is kept as it is")
    func options() throws {
        let host = try standIn()
        let store = QubesStore(host.admin)
        let first = try wish("work block sys-usb:sda required read-only=yes")
        let second = try wish("work block sys-usb:sda ask-to-attach read-only=no frontend-dev=xvdj")
        #expect(try store.add(first) == .added)
        #expect(try store.add(second) == .changed(from: first))
        #expect(try store.assignments(of: work).assignments == [second])
    }

    @Test("A PCI option that says no is not stored, because Qubes OS would take it for yes")
    func pciNo() throws {
        let host = try standIn()
        let store = QubesStore(host.admin)
        _ = try store.add(wish("work pci dom0:00_1f.2 required permissive=no no-strict-reset=yes"))
        #expect(
            host.with { $0.domains["work"]?.assigned["pci"]?.first?.options } == [
                QubesRow.Property("no-strict-reset", "yes")
            ])
        host.with {
            $0.domains["work"]?.assigned["pci"]?[0].options = [QubesRow.Property("permissive", "false")]
        }
        #expect(try store.assignments(of: work).assignments.first?.options["permissive"] == "yes")
    }

    @Test("A required assignment that cannot be told is a problem of its VM alone; another one is a note")
    func wrongRows() throws {
        let host = try standIn()
        let bad = [QubesRow.Property("frontend-dev", "bogus!")]
        host.with { model in
            model.domains["work"]?.assigned["block"] = [
                QubesModel.Link("sys-usb", "sda", mode: "required", bad),
                QubesModel.Link("sys-usb", "sdb", mode: "auto-attach", bad),
                QubesModel.Link("sys-usb", "sdc"),
            ]
        }
        let store = QubesStore(host.admin)
        let reading = try store.assignments(of: work)
        #expect(reading.assignments.map(\.device.description) == ["sys-usb:sdc"])
        #expect(reading.problems.count == 1)
        let text = try #require(reading.problems.first?.description)
        for word in ["qubesd: VM work: block device sys-usb:sda", "frontend-dev", "bogus!"] {
            #expect(text.contains(word), "\(text)")
        }
        #expect(reading.notes.first?.description.contains("sys-usb:sdb") == true)
        #expect(try store.assignments(of: VMName("vault")) == TableReading())
        let removed = try store.remove(from: work) { $0.device.port?.description == "sda" }
        #expect(removed.count == 1, "it can be removed")
    }

    @Test("A release before 4.3 says what it lacks, and its stored attachments are told")
    func old() throws {
        let host = try standIn(.r42)
        host.with { $0.domains["work"]?.assigned["block"] = [QubesModel.Link("sys-usb", "sda")] }
        let store = QubesStore(host.admin)
        #expect(try store.assignments(of: work).assignments == [wish("work block sys-usb:sda required")])
        let error = #expect(throws: TableError.self) { try store.add(wish("work usb sys-usb:2-1 required")) }
        #expect(error?.kind == .unsupported)
        #expect(error?.description.contains("older than 4.3") == true)
        #expect(throws: TableError.self) { try store.remove(from: work) { _ in true } }
    }

    @Test("A VM that does not exist is named, although qubesd says nothing", arguments: ["nobody", "work"])
    func unknown(target: String) throws {
        let host = try standIn()
        let store = QubesStore(host.admin)
        let error = #expect(throws: TableError.self) { try store.add(wish("\(target) usb nowhere:2-1 required")) }
        #expect(error?.description.contains("there is no VM \(target == "work" ? "nowhere" : "nobody")") == true)
    }

    @Test("A yes that stored nothing is an error")
    func silentSuccess() throws {
        let host = try standIn()
        host.script("admin.vm.device.usb.Assign+", .says(Array("0\0".utf8)))
        let error = #expect(throws: TableError.self) {
            try QubesStore(host.admin).add(wish("work usb sys-usb:2-1 required"))
        }
        #expect(error?.description.contains("did not store") == true)
    }

    @Test("A change that fails leaves what was stored")
    func restored() throws {
        let host = try standIn()
        let store = QubesStore(host.admin)
        let first = try wish("work block sys-usb:sda required read-only=yes")
        _ = try store.add(first)
        host.script("admin.vm.device.block.Assign+", .raises("QubesValueError", "no"))
        #expect(throws: TableError.self) { try store.add(wish("work block sys-usb:sda required")) }
        let tries = host.heard.filter { $0.hasPrefix("admin.vm.device.block.Assign+") }
        #expect(tries.count == 3, "it was tried to put the first one back")
    }
}
