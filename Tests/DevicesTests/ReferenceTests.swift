import Devices
import TestSupport
import Testing

@Suite struct ReferenceTests {
    struct Good: CustomTestStringConvertible {
        let deviceClass: DeviceClass
        let text: String
        let source: String
        let port: String?
        let identity: String?
        let form: String
        init(
            _ deviceClass: DeviceClass, _ text: String, _ source: String, _ port: String?, _ identity: String?,
            form: String? = nil
        ) {
            self.deviceClass = deviceClass
            self.text = text
            self.source = source
            self.port = port
            self.identity = identity
            self.form = form ?? text
        }
        var testDescription: String { text }
    }

    @Test(
        "A reference names source, port and identity, whatever colons are in them",
        arguments: [
            Good(.block, "dom0:sda1", "dom0", "sda1", nil),
            Good(.block, "host:sda1", "dom0", "sda1", nil, form: "dom0:sda1"),
            Good(.block, "dom0:sda1:*", "dom0", "sda1", nil, form: "dom0:sda1"),
            Good(.block, "dom0:sda1:usb-X", "dom0", "sda1", "usb-X"),
            Good(.block, "dom0:*:usb-X", "dom0", nil, "usb-X"),
            Good(.block, "dom0:loop0:/srv/a:b c", "dom0", "loop0", "/srv/a:b c"),
            Good(
                .usb, "sys-usb:2-1_4:046d:0825:9E3A:u0e", "sys-usb", "2-1.4", "046d:0825:9E3A:u0e",
                form: "sys-usb:2-1.4:046d:0825:9E3A:u0e"),
            Good(.usb, "sys-usb:*:046d:0825::", "sys-usb", nil, "046d:0825::"),
            Good(.pci, "dom0:00_1f.2", "dom0", "00_1f.2", nil),
            Good(.pci, "dom0:00:1f.2", "dom0", "00_1f.2", nil, form: "dom0:00_1f.2"),
            Good(.pci, "dom0:0000:00:1f.2", "dom0", "00_1f.2", nil, form: "dom0:00_1f.2"),
            Good(
                .pci, "dom0:0000:00:1f.2:8086:a370:1028", "dom0", "00_1f.2", "8086:a370:1028",
                form: "dom0:00_1f.2:8086:a370:1028"),
            Good(
                .pci, "dom0:00:1f.2:8086:a370:1028", "dom0", "00_1f.2", "8086:a370:1028",
                form: "dom0:00_1f.2:8086:a370:1028"),
            Good(.pci, "dom0:00_1f.2:8086:a370:1028", "dom0", "00_1f.2", "8086:a370:1028"),
            Good(.pci, "dom0:00:1f.2:*", "dom0", "00_1f.2", nil, form: "dom0:00_1f.2"),
            Good(.pci, "dom0:*:8086:a370:1028", "dom0", nil, "8086:a370:1028"),
            Good(.mic, "dom0:mic", "dom0", "mic", nil),
        ])
    func good(_ good: Good) throws {
        let reference = try DeviceReference(parsing: good.text, of: good.deviceClass)
        #expect(reference.source.description == good.source)
        #expect(reference.port?.description == good.port)
        #expect(reference.identity?.description == good.identity)
        #expect(reference.description == good.form)
        // What is stored is read as the same.
        #expect(try DeviceReference(parsing: reference.description, of: good.deviceClass) == reference)
    }

    @Test(
        "What names no one device is refused, and the error says which part is wrong",
        arguments: [
            (.block, "", "device"), (.block, "sda1", "device"), (.block, "dom0:", "block port"),
            (.block, ":sda1", "VM name"),
            (.block, "dom0:*", "device"), (.block, "dom0:*:*", "device"), (.block, "dom0:sda1:", "device identity"),
            (.block, "dom0:sda1:a\nb", "device identity"), (.block, "do m0:sda1", "VM name"),
            (.block, "dom0:2-1", "block port"),
            (.usb, "dom0:sda", "usb port"), (.pci, "dom0:00_1f.2:", "device identity"),
            (.pci, "dom0:2-1", "pci port"),
            (.mic, "dom0:mic2", "mic port"),
        ] as [(DeviceClass, String, String)])
    func bad(_ deviceClass: DeviceClass, _ text: String, _ subject: String) {
        let error = #expect(throws: SyntaxError.self) { try DeviceReference(parsing: text, of: deviceClass) }
        #expect(error?.subject == subject)
    }

    @Test(
        "Every random reference, set of options and identity is read as it is shown",
        arguments: DeviceClass.allCases)
    func roundTrip(deviceClass: DeviceClass) throws {
        var random = SeededGenerator(seed: 99)
        let ports: [DeviceClass: [String]] = [
            .block: ["sda", "nvme0n1p2", "cciss_c0d0"], .usb: ["2-1", "1-4.2.7"],
            .pci: ["00_1f.2", "0001_02_03.4", "00_1c.0-00_00.0", "10000_e1_00.0"], .mic: ["mic", "mic-0-1"],
        ]
        var count = 0
        for _ in 0..<2000 {
            let port = try Port(try #require(ports[deviceClass]?.randomElement(using: &random)), of: deviceClass)
            let identity = try? DeviceIdentity(random.text(1...20))
            let source = try VMName(["dom0", "sys-usb", "a.b_c-d"].randomElement(using: &random) ?? "")
            var references = [DeviceReference(deviceClass, source: source, port: port, identity: identity)]
            if let identity { references.append(DeviceReference(deviceClass, source: source, identity: identity)) }
            for reference in references {
                #expect(try DeviceReference(parsing: "\(reference)", of: deviceClass) == reference)
                count += 1
            }
            let value = random.text(0...10)
            #expect(try DeviceOptions.pair(parsing: "name=\(value)") == ("name", value))
        }
        #expect(count > 3000, "most of these texts are identities")
    }

    @Test("The example in messages is a reference that works", arguments: DeviceClass.allCases)
    func example(_ deviceClass: DeviceClass) throws {
        let text = "dom0:" + DeviceReference.example(of: deviceClass)
        #expect(try DeviceReference(parsing: text, of: deviceClass).description == text)
    }

    @Test("The most specific assignment of a device wins; of two that are alike the earlier")
    func precedence() throws {
        let work = try VMName("work")
        func assignment(_ text: String, _ mode: AssignmentMode = .required) throws -> Assignment {
            try Assignment(
                target: work, device: DeviceReference(parsing: text, of: .block), mode: mode, options: .none)
        }
        let byIdentity = try assignment("dom0:*:x")
        let byPort = try assignment("dom0:sda")
        let byBoth = try assignment("dom0:sda:x")
        #expect(mostSpecific([]) == nil)
        for (some, winner) in [
            ([byIdentity], byIdentity), ([byIdentity, byPort], byPort), ([byPort, byIdentity], byPort),
            ([byPort, byBoth, byIdentity], byBoth), ([byBoth, byPort], byBoth),
        ] { #expect(mostSpecific(some) == winner) }
        #expect(mostSpecific([byPort, try assignment("dom0:sda", .autoAttach)]) == byPort)
    }

    @Test("The host gets no device, and no VM its own")
    func impossibleTargets() throws {
        for (target, device) in [("dom0", "sys-usb:sda"), ("host", "sys-usb:sda"), ("work", "work:sda")] {
            #expect(throws: SyntaxError.self) {
                try Assignment(
                    target: VMName(target), device: DeviceReference(parsing: device, of: .block), options: .none)
            }
        }
    }
}
