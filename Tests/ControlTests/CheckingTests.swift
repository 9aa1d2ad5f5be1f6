import Applying
import Control
import Devices
import Foundation
import TestSupport
import Testing

@Suite("What the next start would come to, for programs")
struct CheckingTests {
    let host: FakeHost
    init() throws { host = try FakeHost() }

    private func controller() -> Controller {
        Controller(
            applier: host.applier, store: host.store, sources: [host.source], hypervisor: host.simulator,
            locks: host.locks)
    }

    private func answer(_ rows: String...) throws -> (vms: [[String: Any]], status: Sysexit) {
        host.store.set(try rows.map(row))
        let (text, status) = try render(controller().forecasts(nil), .short)
        let vms = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [[String: Any]]
        return (try #require(vms), status)
    }

    @Test(
        "Each VM is told with its devices, its problems in fixed words, and the exit status of the start; nothing else"
    )
    func told() throws {
        host.source.set([try disk("sda"), try disk("sdb")])
        host.source.hears({ _ in })
        let (vms, status) = try answer(
            "media dom0:sda required", "work dom0:sdb required", "work dom0:sdz auto-attach timeout=20s",
            "work dom0:sda:usb-A required")
        #expect(status == .unavailable)
        #expect(vms.map { $0["vm"] as? String } == ["media", "work"])
        #expect(vms.map { $0["status"] as? Int } == [0, 69])
        #expect(vms.map { $0["starts"] as? Bool } == [true, false])
        let devices = vms.map { ($0["devices"] as? [[String: Any]])?.map { $0["device"] as? String } }
        #expect(devices.map { $0?.first??.hasPrefix("dom0:sd") } == [true, true])
        let problems = try #require(vms.last?["problems"] as? [[String: Any]])
        #expect(problems.map { $0["reason"] as? String } == ["device-missing", "device-replaced"])
        #expect(problems.map { $0["mode"] as? String } == ["auto-attach", "required"])
        #expect(problems.map { $0["assigned"] as? String } == ["dom0:sdz", "dom0:sda:usb-A"])
        #expect(
            problems.allSatisfy {
                $0["class"] as? String == "block" && ($0["message"] as? String)?.isEmpty == false
            })
        #expect(problems.allSatisfy { $0["wait_usec"] == nil }, "nothing is waited for where one cannot come")
        #expect(host.reporter.outcomes.isEmpty)
    }

    @Test("How long a start would wait for a late device is told in microseconds")
    func waits() throws {
        host.source.hears({ _ in })
        let (vms, status) = try answer("work dom0:sdz auto-attach timeout=20s")
        #expect(status == .success)
        let problems = try #require(vms.first?["problems"] as? [[String: Any]])
        #expect(problems.map { $0["wait_usec"] as? Int } == [20_000_000])
    }
}
