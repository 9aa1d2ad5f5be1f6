import Applying
import Assignments
import Devices
import Hypervisors
import Qubes
import TestSupport
import Testing

@testable import Control

/// What a hostile VM, or a table out of control, can do to who lists it: nothing. If each were compared with each, these would
/// take hours.
@Suite("Ten thousand of everything", .timeLimit(.minutes(5)))
struct FloodTests {
    private static let count = 10_000

    private func text(_ survey: Survey, assignments: Bool) -> [Substring] {
        let style = ListStyle(
            form: .off, hasLegend: false, withAssignments: assignments, withIdentities: true)
        return render(survey.rows(of: nil, withAssignments: assignments), style).split(separator: "\n")
    }

    @Test("Devices, assignments that find them and that do not, and attachments: all are listed, each once")
    func survey() throws {
        let work = try VMName("work")
        var survey = Survey(deviceClass: .block)
        for number in 0..<FloodTests.count {
            let port = try Port("sda\(number)", of: .block)
            let device = Device(
                .block, source: .host, port: port, identities: [try DeviceIdentity("usb-\(number)")], title: "x",
                canonical: CanonicalDevice(key: "block-8:\(number)"))
            survey.devices.append(device)
            let elsewhere = try DeviceReference(parsing: "dom0:sdb\(number):usb-\(number)", of: .block)
            let gone = try DeviceReference(parsing: "dom0:sdc\(number)", of: .block)
            for reference in [elsewhere, gone] {
                survey.assignments.append(try Assignment(target: work, device: reference, options: .none))
            }
            for (key, reference) in [("block-8:\(number)", device.reference), ("block-9:\(number)", gone)] {
                survey.attachments.append(
                    LockRecord(
                        vm: work, device: reference, id: AttachmentID(port: port), options: .none,
                        canonical: CanonicalDevice(key: key), sequence: nil))
            }
        }
        let lines = text(survey, assignments: true)
        #expect(lines.count == 2 * FloodTests.count)
        #expect(lines.contains { $0.hasPrefix("dom0:sda77 ") && $0.hasSuffix("work (attached), *work (required)") })
        #expect(lines.contains { $0.hasPrefix("dom0:sdc77 ") && $0.contains("(gone)") })
    }

    @Test("Everything in one port, or of one identity, is no more than that")
    func alike() throws {
        var survey = Survey(deviceClass: .usb)
        let identity = try DeviceIdentity("1d6b:0001:A:u000000")
        for number in 0..<FloodTests.count {
            let port = try Port(number % 2 == 0 ? "1-1" : "1-2", of: .usb)
            survey.devices.append(
                Device(
                    .usb, source: .host, port: port, identities: [identity], title: "\(number)",
                    canonical: CanonicalDevice(key: "usb-\(port)")))
        }
        let anywhere = DeviceReference(.usb, source: .host, identity: identity)
        survey.assignments = [try Assignment(target: VMName("work"), device: anywhere, options: .none)]
        let lines = text(survey, assignments: true)
        #expect(lines.count == FloodTests.count + 1, "which of them is meant is not guessed")
    }

    @Test(
        "On Qubes OS a VM with ten thousand devices is listed whole; what is no device is told of, and not each by itself"
    )
    func qubes() throws {
        let host = try QubesdStandIn()
        host.with { model in
            model.domains["sys-usb"] = QubesModel.Domain(state: "Running")
            model.domains["sys-usb"]?.exposed["usb"] = (0..<FloodTests.count).flatMap { number in
                [
                    QubesModel.Exposed("\(number / 900 + 1)-\(number % 900 + 1)", "1050:0407:\(number):u030101"),
                    QubesModel.Exposed("no-port-\(number)", "x"),
                ]
            }
        }
        let admin = QubesAdmin(over: QubesdSocket(root: host.root), timeout: .seconds(240))
        let controller = Controller(
            applier: Applier(
                store: QubesStore(admin), sources: [], hypervisor: Qubes(admin), root: host.root,
                reporter: Recorder(), timeout: .seconds(60)), store: QubesStore(admin), sources: [],
            hypervisor: Qubes(admin), locks: LockFolder(root: host.root), qubes: admin)
        let survey = try controller.survey(.usb, withAssignments: false)
        #expect(text(survey, assignments: false).count == FloodTests.count)
        #expect(survey.warnings.count == 11)
        #expect(survey.warnings.last == "VM sys-usb: 9990 more of its usb devices are not understood")
    }
}
