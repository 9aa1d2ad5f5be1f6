import Devices
import Testing

@Suite struct NameTests {
    @Test(
        "A VM name is letters, digits, dots, underscores and dashes, and begins with a letter or digit",
        arguments: ["a", "work", "Work-2.x_y", "9", String(repeating: "x", count: 63)])
    func goodVM(_ text: String) throws { #expect(try VMName(text).description == text) }

    @Test(
        "What could lead out of a path or a unit name is no VM name",
        arguments: [
            "", " ", ".", "..", ".x", "-x", "_x", "a/b", "../x", "a b", "a\n", "a\0", "a:b", "a@b", "a%i", "é",
            "a\u{301}", "а",
            "*", String(repeating: "x", count: 64),
        ])
    func badVM(_ text: String) {
        let error = #expect(throws: SyntaxError.self) { try VMName(text) }
        #expect(error?.description.contains("is not a valid VM name: expected a letter or digit") == true)
    }

    @Test("The host has two spellings and one name")
    func host() throws {
        #expect(try VMName("host") == .host)
        #expect(try VMName("dom0").isHost)
        #expect(try VMName("host").description == "dom0")
        for other in ["Host", "dom00", "dom"] { #expect(try !VMName(other).isHost) }
    }

    @Test(
        "A port has one form in which it is stored, however it was written",
        arguments: [
            (.block, "sda", "sda"), (.block, "nvme0n1p2", "nvme0n1p2"), (.block, "dm-3", "dm-3"),
            (.block, "cciss_c0d0", "cciss_c0d0"), (.block, "pmem0.1", "pmem0.1"), (.block, "loop0", "loop0"),
            (.usb, "2-1", "2-1"), (.usb, "2-1.4.7", "2-1.4.7"), (.usb, "2-1_4", "2-1.4"),
            (.usb, "12-10.11", "12-10.11"),
            (.pci, "00_1f.2", "00_1f.2"), (.pci, "00:1f.2", "00_1f.2"), (.pci, "0000:00:1F.2", "00_1f.2"),
            (.pci, "0000_00_1f.2", "00_1f.2"), (.pci, "0001:02:03.4", "0001_02_03.4"),
            (.pci, "00_1C.0-00_00.0", "00_1c.0-00_00.0"),
            (.pci, "0000_00_1c.0-00_00.0-01_03.1", "00_1c.0-00_00.0-01_03.1"),
            (.pci, "0001_00_1c.0-00_00.0", "0001_00_1c.0-00_00.0"), (.pci, "10000:e1:00.0", "10000_e1_00.0"),
            (.pci, "ff_1f.7", "ff_1f.7"), (.mic, "mic", "mic"),
            (.mic, "mic-0-12", "mic-0-12"),
        ] as [(DeviceClass, String, String)])
    func goodPort(_ deviceClass: DeviceClass, _ text: String, _ form: String) throws {
        let port = try Port(text, of: deviceClass)
        #expect(port.description == form)
        #expect(try Port(form, of: deviceClass) == port)
    }

    @Test(
        "What no kernel would call a port is refused, with what was expected",
        arguments: [
            (
                .block,
                [
                    "", "*", "1sda", "SDA", "/dev/sda", "sda!1", "sda 1", "sda:1", "..", ".a", "é",
                    String(repeating: "a", count: 26),
                ]
            ),
            (
                .usb,
                [
                    "", "2", "2-", "-1", "2-1-1", "2-1.", "2-1..2", "2-0", "0-1", "02-1", "2-01", "2-1.04",
                    "2-1:1.0", "usb2", "2-a", "2-1234", "1-1.1.1.1.1.1.1.1",
                ]
            ),
            (
                .pci,
                [
                    "", "1f.2", "00_1f", "00_1f.8", "00_20.0", "00_ff.0", "00_1f.22", "0_1f.2", "000_00_1f.2",
                    "00000_00_1f.2", "00.1f.2", "00_1f_2", "0g_00.0", "00-1f.2", "00_1c.0-", "-00_00.0",
                    "00_1c.0-0001_00_00.0", "00:1c.0-00:00.0",
                    "00_1c.0" + String(repeating: "-00_00.0", count: 9), "1234567890:00:00.0", "00_1f.2 ",
                ]
            ),
            (.mic, ["", "Mic", "mic-", "mic-0", "mic-0-0-0", "mic-a-0", "mic-1234-0", "mic0"]),
        ] as [(DeviceClass, [String])])
    func badPorts(_ deviceClass: DeviceClass, _ texts: [String]) {
        for text in texts {
            let error = #expect(throws: SyntaxError.self, "\(text)") { try Port(text, of: deviceClass) }
            #expect(error?.description.contains("is not a valid \(deviceClass) port: expected") == true)
        }
    }

    @Test(
        "Ports are listed as people count",
        arguments: [
            (.block, ["dm-2", "dm-10", "sda", "sda1", "sda2", "sda10", "sdb", "sdb01", "sdb1"]),
            (.usb, ["1-2", "1-2.4", "1-10", "2-1"]), (.pci, ["00_02.0", "00_1f.2", "00_1f.3", "0001_00_00.0"]),
        ] as [(DeviceClass, [String])])
    func order(_ deviceClass: DeviceClass, _ texts: [String]) throws {
        let ports = try texts.map { text throws in try Port(text, of: deviceClass) }
        #expect(ports.reversed().sorted() == ports)
        for (index, port) in ports.enumerated() {
            for (other, second) in ports.enumerated() { #expect((port < second) == (index < other)) }
        }
    }

    @Test("Numbers of any length in a port compare without overflow")
    func longNumbers() throws {
        let long = try Port("a" + String(repeating: "9", count: 24), of: .block)
        #expect(!(long < long))
        #expect(try Port("a1", of: .block) < long)
    }

    @Test("A class and a mode are known by their names alone")
    func words() throws {
        for known in DeviceClass.allCases { #expect(try DeviceClass(parsing: known.rawValue) == known) }
        for known in AssignmentMode.allCases { #expect(try AssignmentMode(parsing: known.rawValue) == known) }
        for text in ["", "Block", "disk", "block "] {
            #expect(throws: SyntaxError.self) { try DeviceClass(parsing: text) }
            #expect(throws: SyntaxError.self) { try AssignmentMode(parsing: text) }
        }
        #expect(DeviceClass.allCases.shuffled().sorted() == [.block, .usb, .pci, .mic])
        #expect(DeviceClass.allCases.filter(\.isShareable) == [.mic])
        #expect(DeviceClass.allCases.map(\.title) == ["Block", "USB", "PCI", "Mic"])
    }

    @Test(
        "An identity is printable text of up to 255 bytes",
        arguments: [
            ("usb-SanDisk_4C53-part1", true), ("046d:0825:9E3A:u0e0100", true), ("/srv/my disk.img", true),
            ("größe", true),
            (String(repeating: "x", count: 255), true), (String(repeating: "x", count: 256), false),
            (String(repeating: "é", count: 128), false), ("", false), ("*", false), ("a\nb", false),
            ("a\u{1b}[2J", false),
            ("a\u{202e}b", false), ("a\u{a0}b", false), ("a\0", false),
        ])
    func identity(_ text: String, _ isGood: Bool) throws {
        if isGood {
            #expect(try DeviceIdentity(text).description == text)
        } else {
            #expect(throws: SyntaxError.self) { try DeviceIdentity(text) }
        }
    }
}
