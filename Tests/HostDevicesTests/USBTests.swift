import Devices
import Foundation
import Platform
import Testing

@testable import HostDevices

@Suite("The USB devices of this host")
struct USBTests {
    let host: USBHost

    init() throws {
        host = try USBHost()
        try host.addBus(1)
        try host.addBus(2, version: " 3.00")
    }

    @Test("A stick is offered with Qubes's identity, its port by its controller, its node and its name")
    func stick() throws {
        let device = try #require(try host.device(host.add("2-1.4", address: 5)))
        #expect(device.name == "dom0:2-1.4")
        #expect(
            device.identities.map(\.description) == [
                "46f4:0001:SN1:u080650", "pci-0000:00:14.0-usbv3-0:1.4", "pci-0000:00:14.0-usb-0:1.4",
            ])
        #expect(device.stablePort?.description == "pci-0000:00:14.0-usbv3-0:1.4")
        #expect(device.title == "QEMU USB HARDDRIVE")
        #expect(device.usb?.node == "/dev/bus/usb/002/005")
        #expect(device.usb?.number == Device.Number(major: 189, minor: 132))
        #expect(device.uses == [] && device.cautions == [])
        #expect(
            device.canonical
                == CanonicalDevice(
                    key: "usb-pci-0000:00:14.0-usbv3-0:1.4", beneath: ["pci-0000:00:14.0", "iommu-7"]))
    }

    /// Descriptors of interfaces, a serial number, and the identity.
    static let identities: [(interfaces: [String], serial: String?, identity: String)] = [
        (["030101", "030102"], nil, "046d:c31c::u030101u030102"),
        (["0202ff", "0a0000", "0a0000", "020600"], "A B", "046d:c31c:A B:u0202ffu0a0000u020600"),
        ([], "1:2", "046d:c31c:1:2:"),
        (["080650"], "\u{1B}[31mred\u{202E}", "046d:c31c:?[31mred?:u080650"),
        (["ffffff"], String(repeating: "ü", count: 200), "046d:c31c:\(String(repeating: "ü", count: 63)):uffffff"),
        (
            (0..<40).map { "0000" + (10 + $0).description }, "s",
            "046d:c31c:s:" + (0..<16).map { "u0000" + (10 + $0).description }.joined()
        ),
    ]

    @Test("Any device has an identity that a table can hold, whatever it says of itself", arguments: identities)
    func identity(interfaces: [String], serial: String?, identity: String) throws {
        let bytes = USBHost.descriptors(vendor: 0x046d, product: 0xc31c, interfaces: interfaces)
        #expect(try #require(USBDescriptors(bytes)).identity(serial: serial)?.description == identity)
    }

    @Test("Descriptors that lie about their length are read to the lie, and no further")
    func hostileDescriptors() throws {
        let good = USBHost.descriptors(vendor: 1, product: 2, interfaces: ["080650", "030101"])
        for count in 0..<18 { #expect(USBDescriptors(Array(good.prefix(count))) == nil) }
        for length: UInt8 in [0, 1, 255] {
            var bytes = good
            bytes[27 + 9 + 7] = length
            #expect(USBDescriptors(bytes)?.interfaces == ["080650"])
        }
        #expect(USBDescriptors([18, 2] + good.dropFirst(2)) == nil)
    }

    @Test(
        "A port keeps its name and its lock where the kernel numbers the buses anew, and what was assigned is found"
    )
    func renumbered() throws {
        let before = try #require(try host.device(host.add("2-1", serial: "X")))
        let later = try USBHost()
        try later.addBus(9, version: " 3.00")
        let after = try #require(try later.device(later.add("9-1", serial: "X")))
        #expect(after.canonical.key == before.canonical.key)
        let port = try DeviceReference(.usb, source: .host, identity: #require(before.stablePort))
        #expect(port.match(among: [after]) == .found(after, movedFrom: nil))
        let other = try #require(try later.device(later.add("9-2", serial: "Y")))
        #expect(before.reference.match(among: [other, after]) == .found(after, movedFrom: before.port))
        #expect(before.reference.match(among: [after], follow: false) == .moved(to: after))
    }

    @Test("What is assigned by the port of its controller is whatever is plugged there, and nothing elsewhere")
    func byPort() throws {
        let first = try #require(try host.device(host.add("2-1", serial: "X")))
        let elsewhere = try #require(try host.device(host.add("2-2", serial: "X", address: 5)))
        let stored = try DeviceReference(parsing: "dom0:*:pci-0000:00:14.0-usbv3-0:1", of: .usb)
        #expect(stored.match(among: [first, elsewhere]) == .found(first, movedFrom: nil))
        #expect(stored.match(among: [elsewhere]) == .absent)
    }

    @Test(
        "The same port number on a controller's USB 2 and USB 3 bus is two ports, and udev's older form is ambiguous"
    )
    func twoBuses() throws {
        let slow = try #require(try host.device(host.add("1-1", serial: "slow")))
        let fast = try #require(try host.device(host.add("2-1", serial: "fast")))
        #expect(!slow.canonical.conflicts(with: fast.canonical))
        #expect(slow.stablePort != fast.stablePort)
        let old = try DeviceReference(parsing: "dom0:*:pci-0000:00:14.0-usb-0:1", of: .usb)
        #expect(old.match(among: [slow, fast]) == .ambiguous([slow, fast]))
    }

    @Test("Two sticks without serial numbers are never guessed between, and each can be had by its port")
    func twins() throws {
        let one = try #require(try host.device(host.add("2-1", serial: nil)))
        let two = try #require(try host.device(host.add("2-2", serial: nil, address: 5)))
        let identity = try #require(one.identities.first)
        #expect(two.identities.first == identity)
        #expect(
            DeviceReference(.usb, source: .host, identity: identity).match(among: [one, two])
                == .ambiguous([one, two]))
        for device in [one, two] {
            let port = try DeviceReference(.usb, source: .host, identity: #require(device.stablePort))
            #expect(port.match(among: [one, two]) == .found(device, movedFrom: nil))
        }
    }

    @Test("A stick of the same model with another serial number is not taken for the one that is assigned")
    func swapped() throws {
        let assigned = try #require(try host.device(host.add("2-1", serial: "SN1"))).reference
        let later = try USBHost()
        try later.addBus(2, version: " 3.00")
        let other = try #require(try later.device(later.add("2-1", serial: "SN2")))
        #expect(assigned.match(among: [other]) == .replaced(by: other))
    }

    @Test("A mounted stick is in use, and the use names its disk and where it is mounted")
    func mounted() throws {
        let usb = try host.add("2-1")
        try host.addDisk("sdx", "8:368", of: usb)
        let device = host.device(usb, mountinfo: "36 35 8:368 / /mnt rw - ext4 /dev/sdx rw\n")
        #expect(try device?.uses == [.part(Port("sdx", of: .block), .mounted("/mnt"))])
        #expect(
            try host.device(host.add("2-2", address: 5), mountinfo: "36 35 8:368 / /mnt rw - ext4 x rw\n")?.uses
                == [])
    }

    @Test("A stick excludes its disk, and the disk the stick, in either order")
    func stickAndDisk() throws {
        let usb = try host.add("2-1")
        try host.addDisk("sdx", "8:368", of: usb)
        let stick = try #require(host.device(usb))
        let number = Device.Number(major: 8, minor: 368)
        let folder = try #require(BlockFolder(number: number, root: host.root))
        let disk = BlockStack(root: host.root, loops: LoopTable(root: host.root)).canonical(folder, number)
        #expect(disk.beneath == ["iommu-7", "pci-0000:00:14.0", "usb-pci-0000:00:14.0-usbv3-0:1"])
        #expect(disk.conflicts(with: stick.canonical) && stick.canonical.conflicts(with: disk))
        #expect(disk.overlaps(stick.canonical))
        let controller = CanonicalDevice(key: "pci-0000:00:14.0", alone: ["iommu-7"])
        for device in [disk, stick.canonical] {
            #expect(controller.conflicts(with: device) && device.conflicts(with: controller))
        }
    }

    /// Which keyboards there are besides, and what is said of a keyboard.
    @Test("A keyboard comes with a caution, and the only one with a stronger one", arguments: ["", "usb", "serio"])
    func keyboard(besides: String) throws {
        let usb = try host.add("1-2", interfaces: ["030101", "030000"])
        if besides == "usb" { try host.add("1-3", interfaces: ["030101"], address: 6) }
        if besides == "serio" { try host.folder.write("sys/bus/serio/drivers/atkbd/serio0/x", "") }
        let cautions = try #require(host.device(usb)).cautions
        #expect(cautions.count == 1)
        #expect(cautions.first?.contains("only keyboard") == besides.isEmpty)
    }

    /// What makes a device none to give away, and a word of what is said of its port.
    static let unfitDevices: [([String: String], String)] = [
        (["bDeviceClass": "09"], "2-1 is a hub"), (["authorized": "0"], "does not allow the device in 2-1"),
    ]

    @Test(
        "A hub and what the host does not allow are not offered, and the port's absence says why",
        arguments: unfitDevices)
    func unfit(attributes: [String: String], says: String) throws {
        let usb = try host.add("2-1", attributes: attributes)
        #expect(host.device(usb) == nil)
        let devices = HostUSBDevices(root: host.root, patience: .zero)
        #expect(try devices.absence(of: Port("2-1", of: .usb))?.contains(says) == true)
        #expect(try devices.absence(of: Port("2-2", of: .usb)) == nil)
    }

    @Test("What a device calls itself is made printable, and its maker is not named twice")
    func title() throws {
        let own = ["manufacturer": "Evil\u{1B}[2J", "product": "Stick  \u{202E}x"]
        #expect(try host.device(host.add("2-1", attributes: own))?.title == "Evil?[2J Stick ?x")
    }

    @Test("A stick that was plugged out has gone, whatever came to its port; one that is there has not")
    func gone() throws {
        try host.add("2-1", address: 5)
        let devices = HostUSBDevices(root: host.root, patience: .zero)
        let (there, empty) = (try Port("2-1", of: .usb), try Port("2-2", of: .usb))
        #expect(!devices.hasGone(132, from: there))
        #expect(devices.hasGone(131, from: there))
        #expect(devices.hasGone(132, from: empty))
    }
}
