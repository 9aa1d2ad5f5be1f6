import Foundation
import Platform
import Testing

@testable import Systemd

@Suite("Devices as libsystemd knows them")
struct SystemDeviceTests {
    @Test("A device is the same however it is found")
    func found() throws {
        let named = try #require(try SystemDevice.named("loop0", in: "block"))
        let syspath = try #require(named.syspath)
        #expect(named.sysname == "loop0")
        #expect(named.subsystem == "block")
        #expect(named.devtype == "disk")
        #expect(named.devname == "/dev/loop0")
        #expect(named.devnum ?? (0, 0) == (7, 0))
        #expect(named.property("MAJOR") == "7")
        #expect(named.attribute("dev") == "7:0")
        #expect(try SystemDevice.at(syspath: syspath)?.sysname == "loop0")
        #expect(try SystemDevice.identified("b7:0")?.syspath == syspath)
        #expect(try DeviceEnumeration(subsystem: "block").devices.contains { $0.syspath == syspath })
    }

    @Test("What does not exist is nil, not an error")
    func missing() throws {
        #expect(try SystemDevice.named("nosuch0", in: "block") == nil)
        #expect(try SystemDevice.at(syspath: "/sys/devices/nosuch") == nil)
        #expect(try SystemDevice.identified("b7:1048575") == nil)
        let device = try #require(try SystemDevice.named("loop0", in: "block"))
        #expect(device.property("NO_SUCH") == nil)
        #expect(device.attribute("no/such") == nil)
        #expect(device.parent(in: "usb", devtype: "usb_device") == nil)
        #expect(try DeviceEnumeration(subsystem: "nosuch").devices.isEmpty)
    }

    @Test("Whoever listens to udev and hears nothing has nothing to read, and is not kept waiting")
    func silence() throws {
        let monitor = try DeviceMonitor(subsystems: ["no-such-subsystem"])
        #expect(try !monitor.take())
        #expect(try readable(among: [monitor.descriptor], until: Deadline(after: .zero)).isEmpty)
    }

    @Test("A question that makes no sense is an error that names it")
    func senseless() {
        #expect(throws: SystemCallError("find", "nonsense", code: EINVAL)) {
            _ = try SystemDevice.identified("nonsense")
        }
    }

    @Test("A parent outlives the child that it was asked of")
    func parent() throws {
        let devices = try DeviceEnumeration(subsystem: "tty").devices
        let parents = devices.compactMap { $0.parent(in: "platform") ?? $0.parent(in: "pnp") }
        #expect(!parents.isEmpty);
        for parent in parents { #expect(parent.syspath?.hasPrefix("/sys/devices/") == true) }
    }

    @Test("What udev wrote down of a device is told")
    func database() async {
        await #expect(processExitsWith: .success) {
            try enterPrivateRun()
            try FileManager.default.createDirectory(atPath: "/run/udev/data", withIntermediateDirectories: true)
            let before = try #require(try SystemDevice.named("loop0", in: "block"))
            #expect(!before.isInitialized)
            #expect(before.devlinks.isEmpty)

            let record = "S:disk/by-id/usb-Stick_1\nS:disk/by-label/x\nI:1\nE:ID_SERIAL_SHORT=SN0001\n"
            try Data(record.utf8).write(to: URL(fileURLWithPath: "/run/udev/data/b7:0"))
            let after = try #require(try SystemDevice.named("loop0", in: "block"))
            #expect(after.isInitialized)
            #expect(Set(after.devlinks) == ["/dev/disk/by-id/usb-Stick_1", "/dev/disk/by-label/x"])
            #expect(after.property("ID_SERIAL_SHORT") == "SN0001")
        }
    }
}
