import Applying
import Assignments
import Control
import Devices
import TestSupport
import Testing

@Suite("Assigning by a port whose number may change")
struct StablePortTests {
    let host: FakeHost
    let work: VMName
    let port: DeviceReference

    init() throws {
        host = try FakeHost()
        work = try VMName("work")
        port = try DeviceReference(parsing: "dom0:2-1", of: .usb)
        host.source.set([try stick("2-1")])
    }

    private func stick(_ port: String, stablePort: String = "pci-0000:00:14.0-usbv3-0:1") throws -> Device {
        let stable = try DeviceIdentity(stablePort)
        return Device(
            .usb, source: .host, port: try Port(port, of: .usb),
            identities: [try DeviceIdentity("46f4:0001::u080650"), stable], title: "stick",
            canonical: CanonicalDevice(key: "usb-\(stable)"),
            details: .usb(
                Device.USB(
                    node: "/dev/x", address: 2, number: Device.Number(major: 189, minor: 1), stablePort: stable)))
    }

    private var controller: Controller {
        Controller(
            applier: host.applier, store: host.store, sources: [host.source], hypervisor: host.simulator,
            locks: host.locks)
    }

    private var stored: [String] {
        get throws { try host.store.allAssignments().assignments.map { $0.device.description } }
    }

    @Test("assign --port stores the port by its controller, and the other ways store what they say")
    func assign() throws {
        for (pin, reference) in [
            (Controller.Pin.port, "dom0:*:pci-0000:00:14.0-usbv3-0:1"), (.both, "dom0:2-1:46f4:0001::u080650"),
            (.identity, "dom0:*:46f4:0001::u080650"),
        ] {
            host.store.set([])
            _ = try controller.assign(port, to: work, mode: .required, options: .none, pin: pin)
            #expect(try stored == [reference])
        }
    }

    @Test("assign --port of a port in which nothing is stores the port as it was given")
    func empty() throws {
        host.source.set([])
        _ = try controller.assign(port, to: work, mode: .required, options: .none, pin: .port)
        #expect(try stored == ["dom0:2-1"])
    }

    @Test("What was assigned by --port is removed by the port's own name again, and nothing else is")
    func unassign() throws {
        let other = try stick("2-2", stablePort: "pci-0000:00:14.0-usbv3-0:2")
        host.source.set([try stick("2-1"), other])
        for device in [port, other.reference] {
            _ = try controller.assign(device, to: work, mode: .required, options: .none, pin: .port)
        }
        #expect(try controller.unassign(port, of: .usb, from: work).count == 1)
        #expect(try stored == ["dom0:*:pci-0000:00:14.0-usbv3-0:2"])
        _ = try controller.detach(other.reference, of: .usb, from: work)
        #expect(try stored == [])
    }
}
