import Devices
import Testing

@Suite struct MatchingTests {
    private static func device(_ text: String, _ identities: String..., of deviceClass: DeviceClass = .block) throws
        -> Device
    {
        let reference = try DeviceReference(parsing: text, of: deviceClass)
        let port = try #require(reference.port)
        return Device(
            deviceClass, source: reference.source, port: port,
            identities: try identities.map { text throws in try DeviceIdentity(text) }, title: text,
            canonical: CanonicalDevice(key: "\(deviceClass)-\(port)"))
    }

    @Test(
        "A microphone that is in two ports at once, mic and its own, is one device",
        arguments: [
            ("dom0:mic", "found mic"), ("dom0:mic:A", "found mic"), ("dom0:*:A", "found mic-0-0"),
            ("dom0:mic-3-0:A", "found mic-0-0 moved from mic-3-0"), ("dom0:*:B", "ambiguous mic-1-0 mic-2-0"),
        ])
    func twoPorts(reference: String, means: String) throws {
        let devices = try [("mic", "A", "x"), ("mic-0-0", "A", "x"), ("mic-1-0", "B", "y"), ("mic-2-0", "B", "z")]
            .map { port, identity, thing in
                Device(
                    .mic, source: .host, port: try Devices.Port(port, of: .mic),
                    identities: [try DeviceIdentity(identity)], title: port,
                    canonical: CanonicalDevice(key: thing))
            }
        let match = try DeviceReference(parsing: reference, of: .mic).match(among: devices.shuffled())
        #expect(text(match) == means)
        #expect(try DeviceIndex(devices).match(DeviceReference(parsing: reference, of: .mic)) == match)
    }

    struct Case: CustomTestStringConvertible {
        let reference: String
        let present: [String]
        let follow: Bool
        let means: String
        init(_ reference: String, among present: [String], follow: Bool = true, _ means: String) {
            self.reference = reference
            self.present = present
            self.follow = follow
            self.means = means
        }
        var testDescription: String { "\(reference) among \(present), follow \(follow)" }
    }

    @Test(
        "A reference means the device that was meant, or says what is there instead; it never guesses",
        arguments: [
            Case("dom0:sda", among: ["dom0:sda A", "dom0:sdb B"], "found sda"),
            Case("dom0:sda", among: ["dom0:sda"], "found sda"),
            Case("dom0:sda", among: [], "absent"),
            Case("dom0:sda", among: ["dom0:sdb A", "sys-usb:sda A"], "absent"),
            Case("dom0:*:A", among: ["dom0:sdb A", "dom0:sdc B"], "found sdb"),
            Case("dom0:*:A", among: ["dom0:sdb X,A"], "found sdb"),
            Case("dom0:*:A", among: ["dom0:sdb B", "sys-usb:sdb A"], "absent"),
            Case("dom0:*:A", among: ["dom0:sdc A", "dom0:sdb A", "dom0:sda B"], "ambiguous sdb sdc"),
            Case("dom0:sda:A", among: ["dom0:sda A"], "found sda"),
            Case("dom0:sda:A", among: ["dom0:sda A", "dom0:sdb A"], "found sda"),
            Case("dom0:sda:A", among: ["dom0:sdb A"], "found sdb moved from sda"),
            Case("dom0:sda:A", among: ["dom0:sda B", "dom0:sdb A"], "found sdb moved from sda"),
            Case("dom0:sda:A", among: ["dom0:sda B", "dom0:sdb A"], follow: false, "moved to sdb"),
            Case("dom0:sda:A", among: ["dom0:sdb A"], follow: false, "moved to sdb"),
            Case("dom0:sda:A", among: ["dom0:sda A", "dom0:sdb A"], follow: false, "found sda"),
            Case("dom0:sda:A", among: ["dom0:sda B"], "replaced by sda"),
            Case("dom0:sda:A", among: ["dom0:sda"], "replaced by sda"),
            Case("dom0:sda:A", among: ["dom0:sdb B"], "absent"),
            Case("dom0:sda:A", among: ["dom0:sda B", "dom0:sdb A", "dom0:sdc A"], "ambiguous sdb sdc"),
            Case("dom0:sda:A", among: ["sys-usb:sda A"], "absent"),
        ])
    func match(_ example: Case) throws {
        let devices = try example.present.map { text throws in
            let parts = text.split(separator: " ")
            let reference = try DeviceReference(parsing: parts[0], of: .block)
            return Device(
                .block, source: reference.source, port: try #require(reference.port),
                identities: try (parts.dropFirst().first?.split(separator: ",") ?? []).map { name throws in
                    try DeviceIdentity(name)
                }, title: "", canonical: CanonicalDevice(key: text))
        }
        let reference = try DeviceReference(parsing: example.reference, of: .block)
        let match = reference.match(among: devices, follow: example.follow)
        #expect(text(match) == example.means)
        #expect(
            DeviceIndex(devices).match(reference, follow: example.follow) == match,
            "one of many is found as one alone")
    }

    private func text(_ match: Match) -> String {
        switch match {
        case .found(let device, nil): "found \(device.port)"
        case .found(let device, let from?): "found \(device.port) moved from \(from)"
        case .absent: "absent"
        case .moved(let device): "moved to \(device.port)"
        case .replaced(let device): "replaced by \(device.port)"
        case .ambiguous(let devices): "ambiguous " + devices.map(\.port.description).joined(separator: " ")
        }
    }

    @Test("A device of another class in a port of the same name is not meant")
    func otherClass() throws {
        let camera = try MatchingTests.device("dom0:2-1", "A", of: .usb)
        #expect(try DeviceReference(parsing: "dom0:*:A", of: .block).match(among: [camera]) == .absent)
        #expect(
            try DeviceReference(parsing: "dom0:*:A", of: .usb).match(among: [camera])
                == .found(camera, movedFrom: nil))
        #expect(DeviceIndex([camera]).match(try DeviceReference(parsing: "dom0:*:A", of: .block)) == .absent)
    }

    @Test("What the CLI stores of a device means that device")
    func stored() throws {
        for device in [try MatchingTests.device("dom0:sda", "A", "B"), try MatchingTests.device("dom0:sdb")] {
            #expect(device.reference.match(among: [device]) == .found(device, movedFrom: nil))
        }
        #expect(try MatchingTests.device("dom0:sda", "A", "B").reference.description == "dom0:sda:A")
    }

    @Test("A disk excludes its partitions and what is made from them, both ways; two partitions go together")
    func exclusion() {
        let disk = CanonicalDevice(key: "block-8:0")
        let first = CanonicalDevice(key: "block-8:1", beneath: ["block-8:0"])
        let second = CanonicalDevice(key: "block-8:2", beneath: ["block-8:0"])
        let volume = CanonicalDevice(key: "block-253:0", beneath: ["block-8:1", "block-8:0"])
        let other = CanonicalDevice(key: "block-8:16")
        let conflicts = [(disk, disk), (disk, first), (disk, second), (disk, volume), (first, volume)]
        for (left, right) in conflicts {
            #expect(left.conflicts(with: right))
            #expect(right.conflicts(with: left))
        }
        for (left, right) in [(first, second), (second, volume), (disk, other), (volume, other)] {
            #expect(!left.conflicts(with: right))
            #expect(!right.conflicts(with: left))
        }
        #expect(CanonicalDevice(key: "a", beneath: ["c", "a", "b", "c"]).beneath == ["b", "c"])
    }
}
