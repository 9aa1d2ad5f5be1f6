import Devices
import Testing
import Units

@Suite("What the udev rule knows of the assignments")
struct PlugMarkerTests {
    private func markers(_ rows: [(DeviceClass, String)]) throws -> [String] {
        PlugMarkers(
            try rows.map { deviceClass, reference in
                try Assignment(
                    target: VMName("work"), device: DeviceReference(parsing: reference, of: deviceClass),
                    mode: .autoAttach, options: .none)
            }
        ).names
    }

    @Test(
        "A device is marked by what the rule can compare, else all of its class are",
        arguments: [
            (DeviceClass.usb, "dom0:2-1.4:046d:0825:9E3A:u0e0100", ["usb:id:046d:0825"]),
            (.usb, "dom0:*:046d:0825:9E3A:u0e0100", ["usb:id:046d:0825"]), (.usb, "dom0:2-1.4", ["usb:port:2-1.4"]),
            (.usb, "dom0:*:pci-0000:00:14.0-usbv3-0:1.4", ["usb:any"]), (.usb, "sys-usb:2-1", []),
            (.block, "dom0:sda1", ["block:port:sda1"]), (.block, "dom0:cciss_c0d0", ["block:any"]),
            (.block, "dom0:sda:usb-SanDisk_Ultra_4C53-0:0-part1", ["block:id:usb-SanDisk_Ultra_4C53-0:0-part1"]),
            (.block, "dom0:sda:wwn-0x5000", ["block:any"]), (.block, "dom0:*:usb-a/../b", ["block:any"]),
            (.block, "dom0:*:usb-a\\x20b", ["block:any"]), (.block, "dom0:*:/srv/scratch.img", ["block:loop"]),
            (.block, "dom0:loop0", ["block:loop"]), (.mic, "dom0:mic", ["mic:any"]), (.pci, "dom0:00_1f.3", []),
        ])
    func mark(deviceClass: DeviceClass, reference: String, expected: [String]) throws {
        #expect(try markers([(deviceClass, reference)]) == expected)
    }

    @Test("A mark of all devices says it all, but of loop devices")
    func any() throws {
        let rows: [(DeviceClass, String)] = [
            (.block, "dom0:sda"), (.block, "dom0:*:wwn-1"), (.block, "dom0:loop0"), (.usb, "dom0:2-1"),
        ]
        #expect(try markers(rows) == ["block:any", "block:loop", "usb:port:2-1"])
    }

    @Test("Of very many devices no list is kept")
    func many() throws {
        #expect(try markers((1...65).map { (.usb, "dom0:2-\($0)") }) == ["usb:any"])
        #expect(try markers((1...64).map { (.usb, "dom0:2-\($0)") }).count == 64)
    }
}
