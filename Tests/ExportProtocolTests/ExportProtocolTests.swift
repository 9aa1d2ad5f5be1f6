import Devices
import ExportProtocol
import TestSupport
import Testing

@Suite("The protocol between a host and a source VM")
struct ExportProtocolTests {
    private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

    @Test("Every request is read back as it was meant")
    func requests() throws {
        let wish = ExportRequest.Wish(
            deviceClass: .block, port: try Port("sdb1", of: .block), instance: "b00t/7", target: try VMName("work"),
            readOnly: true)
        let renamed = ExportRequest.Wish(
            deviceClass: .block, port: try Port("sdc", of: .block), instance: "b00t/8", target: try VMName("work"),
            readOnly: false, servedAs: try Port("sdb", of: .block))
        for request in [ExportRequest.list(.usb), .status, .export(wish), .export(renamed)] {
            let line = try request.line()
            #expect(line.last == 0x0A)
            #expect(try ExportRequest(parsing: Array(line.dropLast())) == request)
        }
    }

    @Test("Every answer is read back as it was meant")
    func replies() throws {
        let device = ExportedDevice(
            Device(
                .block, source: .host, port: try Port("sdb", of: .block), identities: [try DeviceIdentity("usb-x")],
                title: "a stick", canonical: CanonicalDevice(key: "block-8:16", beneath: ["usb-1"]), uses: [.swap],
                details: .block(
                    Device.Block(
                        node: "/dev/sdb", number: Device.Number(major: 8, minor: 16), sequence: 3, size: 4096,
                        isReadOnly: true, serial: "S1", parent: nil))), instance: "b00t/3",
            target: try VMName("work"))
        let replies: [ExportReply] = [
            .devices([device]), .disk(channel: 7, name: "sdb"), .usb,
            .exports([.init(deviceClass: .block, port: try Port("sdb", of: .block), target: try VMName("work"))]),
            .refusal(ExportRefusal(.exported, "it is taken", target: try VMName("other"))),
        ]
        for reply in replies {
            #expect(try ExportReply(parsing: Array(try reply.line().dropLast()), of: .block) == reply)
        }
    }

    @Test("Every random list of devices, wish and refusal is read back as it was meant")
    func roundTrip() throws {
        var random = SeededGenerator(seed: 5)
        for number in 0..<300 {
            let devices = try (0..<Int.random(in: 0...4, using: &random)).map { index in
                let port = try Port("sd\(["a", "b", "c", "d"][index])\(number % 9)", of: .block)
                let target = random.next() % 2 == 0 ? try VMName("work") : nil
                return ExportedDevice(
                    Device(
                        .block, source: .host, port: port,
                        identities: (0..<Int.random(in: 0...3, using: &random)).compactMap { _ in
                            try? DeviceIdentity(random.text(1...20))
                        }, title: random.text(0...30),
                        canonical: CanonicalDevice(key: "block-8:\(index)", beneath: ["usb-1"]),
                        uses: [.atSource(random.text(1...20)), .mounted(random.text(1...20))],
                        details: .block(
                            Device.Block(
                                node: "/dev/sda", number: Device.Number(major: 8, minor: 0), sequence: nil,
                                size: UInt64.random(in: 1...(1 << 50), using: &random),
                                isReadOnly: random.next() % 2 == 0,
                                serial: "S\(index)", parent: nil))), instance: "b00t/\(index)", target: target)
            }
            let replies: [ExportReply] = [
                .devices(devices),
                .refusal(ExportRefusal(.exported, random.text(1...40), target: try VMName("other"))),
            ]
            for reply in replies {
                #expect(try ExportReply(parsing: Array(try reply.line().dropLast()), of: .block) == reply)
            }
        }
    }

    static let device =
        #""port":"sdb","title":"x","instance":"b/1","key":"block-8:16","size":4096,"read-only":false"#

    @Test(
        "What a hostile VM may say instead is refused, and nothing of it reaches a terminal raw",
        arguments: [
            "", "nonsense", "\u{1b}[2J", "{}", #"{"vmdev":2,"devices":[]}"#, #"{"vmdev":1}"#,
            #"{"vmdev":1,"devices":[{}]}"#,
            #"{"vmdev":1,"devices":[{\#(device.replacing("sdb", with: "../../x"))}]}"#,
            #"{"vmdev":1,"devices":[{\#(device.replacing("block-8:16", with: "../../../etc/passwd"))}]}"#,
            #"{"vmdev":1,"devices":[{\#(device.replacing("block-8:16", with: ".."))}]}"#,
            #"{"vmdev":1,"devices":[{\#(device.replacing("4096", with: "0"))}]}"#,
            #"{"vmdev":1,"devices":[{\#(device.replacing("4096", with: "-1"))}]}"#,
            #"{"vmdev":1,"devices":[{\#(device.replacing("4096", with: "18446744073709551615"))}]}"#,
            #"{"vmdev":1,"devices":[{\#(device)},{\#(device)}]}"#,
            #"{"vmdev":1,"export":{"channel":0,"name":"sdb"}}"#,
            #"{"vmdev":1,"export":{"channel":1000,"name":"sdb"}}"#,
            #"{"vmdev":1,"export":{"channel":1,"name":"a b"}}"#,
            #"{"vmdev":1,"export":{"stream":"ssh"}}"#,
        ])
    func hostile(line: String) throws {
        let error = #expect(throws: ExportSyntaxError.self) { try ExportReply(parsing: bytes(line), of: .block) }
        #expect(error?.description.unicodeScalars.allSatisfy { $0.value >= 0x20 } == true)
    }

    @Test("More devices, identities or bytes than there can be are refused")
    func bounds() throws {
        func list(_ entries: [String]) -> [UInt8] {
            bytes(#"{"vmdev":1,"devices":[\#(entries.joined(separator: ","))]}"#)
        }
        let many = (0...ExportLimits.devices).map { number in
            "{\(ExportProtocolTests.device.replacing("sdb", with: "sd\(number)").replacing("8:16", with: "8:\(number)"))}"
        }
        #expect(throws: ExportSyntaxError.self) { try ExportReply(parsing: list(many)) }
        let names = Array(repeating: "\"x\"", count: ExportLimits.identities + 1).joined(separator: ",")
        #expect(throws: ExportSyntaxError.self) {
            try ExportReply(parsing: list(["{\(ExportProtocolTests.device),\"identities\":[\(names)]}"]))
        }
        #expect(throws: ExportSyntaxError.self) {
            try ExportReply(parsing: Array(repeating: 0x20, count: ExportLimits.replyLine))
        }
        #expect(throws: ExportSyntaxError.self) {
            try ExportRequest(parsing: Array(repeating: 0x20, count: ExportLimits.requestLine))
        }
    }

    @Test(
        "An address is understood, and the channels lie beside it",
        arguments: [
            ("vsock:3:4900", "vsock:3:4907"), ("tcp:127.0.0.1:4900", "tcp:127.0.0.1:4907"),
            ("tcp:[fe80::1]:4900", "tcp:[fe80::1]:4907"), ("unix:/run/x.sock", "unix:/run/x.sock.7"),
        ])
    func addresses(text: String, beside: String) throws {
        let address = try SourceAddress(text)
        #expect(address.description == text)
        #expect(address.channel(7)?.description == beside)
        #expect(address.channel(0) == nil)
        #expect(address.channel(1000) == nil)
    }

    @Test(
        "What is no address is refused",
        arguments: [
            "", "vsock", "vsock:3", "vsock:0:1", "vsock:3:0", "vsock:3:4294967295", "tcp:localhost:4900",
            "tcp:127.0.0.1:65000", "tcp:127.0.0.1:04900", "tcp:[fe80900]:4900", "tcp:[]:4900", "tcp:::1:4900",
            "unix:run/x", "unix:/run/", "http://x",
        ])
    func noAddress(text: String) { #expect(throws: SyntaxError.self) { try SourceAddress(text) } }
}
