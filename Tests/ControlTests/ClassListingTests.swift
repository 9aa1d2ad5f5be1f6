import Applying
import Assignments
import Control
import Devices
import Foundation
import Hypervisors
import TestSupport
import Testing

/// Text that takes a terminal over when it gets there: escape sequences, C1 controls, line breaks, bidi marks.
private let attack = "\u{1B}]0;owned\u{7}\u{1B}[2J\u{9B}31m\r\nfake row\u{202E}\u{2066}\u{200B}\u{2028}"

private func device(
    _ deviceClass: DeviceClass, _ port: String, title: String, identity: String? = nil, key: String? = nil,
    uses: [Device.Use] = [], cautions: [String] = [], _ details: Device.Details = .plain
) throws -> Device {
    Device(
        deviceClass, source: .host, port: try Port(port, of: deviceClass),
        identities: try identity.map { [try DeviceIdentity($0)] } ?? [], title: title,
        canonical: CanonicalDevice(key: key ?? "\(deviceClass)-\(port)"), uses: uses, cautions: cautions,
        details: details)
}

@Suite("What list and info show of each class")
struct ClassListingTests {
    let host: FakeHost
    let work: VMName

    init() throws {
        host = try FakeHost()
        work = try VMName("work")
        host.simulator.add(work)
        let microphones = try ["mic", "mic-0-0"].map {
            try device(
                .mic, $0, title: "HDA Intel PCH: ALC887", identity: "pci-8086:293e:1af41100:0", key: "mic-x",
                .mic(Device.Mic(card: 0, cardName: "PCH", device: 0)))
        }
        host.source.set(
            [
                try device(
                    .usb, "2-10", title: "Logitech Webcam", identity: "046d:0825:9E3A1B00:u0e0100",
                    cautions: ["the console's keyboard"],
                    .usb(
                        Device.USB(
                            node: "/dev/bus/usb/002/004", address: 4, number: Device.Number(major: 189, minor: 131),
                            stablePort: DeviceIdentity("pci-0000:00:14.0-usbv3-0:10"))
                    )),
                try device(.usb, "2-2", title: "Stick", uses: [.part(Port("sda1", of: .block), .mounted("/srv"))]),
                try device(
                    .pci, "00_1f.2", title: "SATA controller", identity: "8086:2922:1af41100",
                    .pci(
                        Device.PCI(
                            address: "0000:00:1f.2", driver: "ahci", group: 7,
                            companions: ["0000:00:1f.3 (i801_smbus)"], canReset: false))),
            ]
                + microphones)
    }

    private var controller: Controller {
        Controller(
            applier: host.applier, store: host.store, sources: [host.source], hypervisor: host.simulator,
            locks: host.locks)
    }

    private func list(_ deviceClass: DeviceClass, identities: Bool = false, form: OutputForm = .off) throws
        -> String
    {
        let rows = try controller.survey(deviceClass).rows(of: nil, withAssignments: true)
        return render(
            rows,
            ListStyle(form: form, hasLegend: false, withAssignments: true, withIdentities: identities))
    }

    private func info(_ text: String, _ deviceClass: DeviceClass, form: OutputForm = .off) throws -> String {
        renderDetails(
            try controller.details(of: try DeviceReference(parsing: text, of: deviceClass)), form)
    }

    @Test(
        "A row per device, in the order of the ports, with its identity when that is asked for and the host's own use",
        arguments: [
            (
                DeviceClass.usb,
                """
                dom0:2-2   Stick            -                           dom0 (sda1 is mounted on /srv)
                dom0:2-10  Logitech Webcam  046d:0825:9E3A1B00:u0e0100

                """
            ),
            (.pci, "dom0:00_1f.2  SATA controller  8086:2922:1af41100\n"),
            (
                .mic,
                """
                dom0:mic      HDA Intel PCH: ALC887  pci-8086:293e:1af41100:0
                dom0:mic-0-0  HDA Intel PCH: ALC887  pci-8086:293e:1af41100:0

                """
            ), (.block, ""),
        ])
    func rows(deviceClass: DeviceClass, expected: String) throws {
        #expect(try list(deviceClass, identities: true) == expected)
    }

    @Test(
        "info tells what only devices of the class have",
        arguments: [
            (
                DeviceClass.usb, "dom0:2-10",
                [
                    "node: /dev/bus/usb/002/004", "caution: the console's keyboard",
                    "port by its controller: pci-0000:00:14.0-usbv3-0:10",
                ]
            ),
            (
                .pci, "dom0:00_1f.2",
                [
                    "address: 0000:00:1f.2", "driver of the host: ahci", "IOMMU group: 7",
                    "also in the group: 0000:00:1f.3 (i801_smbus)", "can be reset by itself: no",
                ]
            ), (.mic, "dom0:mic", ["sound card: 0 (PCH)", "capture device: 0", "same device as: dom0:mic-0-0"]),
        ])
    func info(deviceClass: DeviceClass, name: String, facts: [String]) throws {
        let lines = try info(name, deviceClass).split(separator: "\n").map {
            $0.split(separator: ":", maxSplits: 1).map { $0.drop { $0 == " " } }.joined(separator: ": ")
        }
        for fact in facts { #expect(lines.contains(fact)) }
    }

    @Test("JSON has the same facts, under the name of the class")
    func json() throws {
        func object(_ name: String, _ deviceClass: DeviceClass) throws -> [String: Any] {
            let text = try info(name, deviceClass, form: .short)
            let rows = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [[String: Any]]
            return try #require(rows?.first?[deviceClass.rawValue] as? [String: Any])
        }
        #expect(try object("dom0:2-10", .usb)["address"] as? Int == 4)
        #expect(try object("dom0:00_1f.2", .pci)["group"] as? Int == 7)
        #expect(try object("dom0:00_1f.2", .pci)["can_reset"] as? Bool == false)
        #expect(try object("dom0:mic", .mic)["card_name"] as? String == "PCH")
    }

    @Test(
        "A microphone that a VM has shows so in both of its ports, and is detached by either",
        arguments: ["mic", "mic-0-0"])
    func eitherPort(port: String) throws {
        let wanted = try DeviceReference(parsing: "dom0:mic", of: .mic)
        host.store.set([try Assignment(target: work, device: wanted, options: .none)])
        #expect(host.applier.apply(to: work, on: .boot) == .success)
        #expect(try list(.mic).split(separator: "\n").allSatisfy { $0.contains("work (attached)") })
        _ = try controller.detach(try DeviceReference(parsing: "dom0:\(port)", of: .mic), of: .mic, from: work)
        #expect(host.simulator.attached(to: work).isEmpty)
        #expect(try host.locks.live().isEmpty)
        #expect(try host.store.allAssignments().assignments.isEmpty)
    }

    @Test("A microphone that a VM has under the name of one port is already there under the other's")
    func alreadyThere() throws {
        for (port, kind) in [("mic", Outcome.Kind.attached), ("mic-0-0", .alreadyAttached)] {
            let wanted = try DeviceReference(parsing: "dom0:\(port)", of: .mic)
            host.store.set([try Assignment(target: work, device: wanted, options: .none)])
            #expect(host.applier.apply(to: work, on: .byHand) == .success)
            #expect(host.reporter.kinds.contains(kind))
        }
        #expect(host.simulator.attached(to: work).values.map(\.port.description) == ["mic"])
    }

    @Test("One VM that is assigned a microphone by both of its ports gets it once, by the more specific name")
    func bothPorts() throws {
        let identity = try DeviceIdentity("pci-8086:293e:1af41100:0")
        host.store.set([
            try Assignment(
                target: work, device: DeviceReference(.mic, source: .host, port: Port("mic", of: .mic)),
                mode: .autoAttach, options: .none),
            try Assignment(
                target: work,
                device: DeviceReference(.mic, source: .host, port: Port("mic-0-0", of: .mic), identity: identity),
                options: .none),
        ])
        #expect(host.applier.apply(to: work, on: .boot) == .success)
        #expect(host.simulator.attached(to: work).values.map(\.port.description) == ["mic-0-0"])
    }

    @Test("An empty list has no heading")
    func noHeading() throws {
        let style = ListStyle(form: .off, hasLegend: true, withAssignments: false, withIdentities: false)
        #expect(render([], style) == "")
    }

    @Test(
        "An empty list says to a person why",
        arguments: [(DeviceClass.block, "this host has no block devices"), (.usb, "no other usb devices")])
    func empty(deviceClass: DeviceClass, says: String) throws {
        let survey = try controller.survey(deviceClass)
        #expect(survey.emptiness(of: nil) == says)
        #expect(survey.emptiness(of: [work]) == "there is no \(deviceClass) device of work")
    }
}

@Suite("What devices say of themselves is not believed")
struct HostileDeviceTests {
    /// Everything that a person or a terminal gets to see of a device.
    private static func isHarmless(_ text: String) -> Bool {
        text.split(separator: "\n", omittingEmptySubsequences: false).allSatisfy {
            printable($0, limit: .max) == String($0)
        }
    }

    private static func hostileDevices() throws -> [Device] {
        [
            try device(
                .usb, "2-1", title: attack, identity: printable(attack), uses: [.mounted(attack), .holder(attack)],
                cautions: [attack],
                .usb(Device.USB(node: attack, address: 1, number: Device.Number(major: 189, minor: 0)))),
            try device(
                .pci, "00_1f.2", title: attack, uses: [.essential(attack)],
                .pci(
                    Device.PCI(
                        address: attack, driver: attack, group: 1, companions: [attack], canReset: true))),
            try device(
                .mic, "mic", title: attack, cautions: [attack],
                .mic(Device.Mic(card: 0, cardName: attack, device: 0))),
            try device(
                .block, "sda", title: attack,
                .block(
                    Device.Block(
                        node: attack, number: Device.Number(major: 8, minor: 0), sequence: nil, size: 512,
                        isReadOnly: false, serial: attack, parent: nil))),
        ]
    }

    @Test(
        "list, info and JSON have no control character, escape sequence, bidi mark or row of its own",
        arguments: DeviceClass.allCases)
    func shown(deviceClass: DeviceClass) throws {
        let host = try FakeHost()
        host.source.set(try HostileDeviceTests.hostileDevices())
        let controller = Controller(
            applier: host.applier, store: host.store, sources: [host.source], hypervisor: host.simulator,
            locks: host.locks)
        let rows = try controller.survey(deviceClass).rows(of: nil, withAssignments: true)
        #expect(rows.count == 1)
        for form in OutputForm.allCases {
            let style = ListStyle(form: form, hasLegend: true, withAssignments: true, withIdentities: true)
            let (list, details) = (render(rows, style), renderDetails(rows, form))
            #expect(HostileDeviceTests.isHarmless(list))
            #expect(HostileDeviceTests.isHarmless(details))
            #expect(!list.contains("\\u") && !details.contains("\\u"))
            #expect(list.contains("owned") && details.contains("owned"))
            if form == .off { #expect(list.split(separator: "\n").count == 2) }
        }
    }

    @Test(
        "What is told to the journal, of success and of failure, is one harmless line",
        arguments: DeviceClass.allCases)
    func told(deviceClass: DeviceClass) throws {
        let host = try FakeHost()
        let work = try VMName("work")
        host.simulator.add(work)
        let hostile = try #require(try HostileDeviceTests.hostileDevices().first { $0.deviceClass == deviceClass })
        host.source.set([hostile])
        let wrong = DeviceReference(
            deviceClass, source: .host, port: hostile.port, identity: try DeviceIdentity("another"))
        for reference in [DeviceReference(deviceClass, source: .host, port: hostile.port), wrong] {
            host.store.set([try Assignment(target: work, device: reference, mode: .autoAttach, options: .none)])
            _ = host.applier.check(work)
            _ = host.applier.apply(to: work, on: .byHand)
        }
        let texts = host.reporter.outcomes.map(\.message)
        #expect(texts.contains { $0.contains("owned") })
        for text in texts { #expect(printable(text, limit: .max) == text) }
    }
}

@Suite("Columns")
struct ColumnTests {
    @Test("Columns stay aligned behind characters of two columns")
    func wide() throws {
        let host = try FakeHost()
        host.source.set([
            try device(.usb, "1-1", title: "日本語マイク", uses: [.swap]),
            try device(.usb, "1-2", title: "ab", uses: [.swap]),
            try device(.usb, "1-3", title: "é", uses: [.swap]),
        ])
        let controller = Controller(
            applier: host.applier, store: host.store, sources: [host.source], hypervisor: host.simulator,
            locks: host.locks)
        let rows = try controller.survey(.usb).rows(of: nil, withAssignments: false)
        let style = ListStyle(form: .off, hasLegend: false, withAssignments: false, withIdentities: false)
        #expect(
            render(rows, style) == """
                dom0:1-1  日本語マイク  dom0 (used as swap)
                dom0:1-2  ab            dom0 (used as swap)
                dom0:1-3  é             dom0 (used as swap)

                """)
    }
}
