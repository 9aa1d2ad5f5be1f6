import Devices
import ExportProtocol
import Foundation
import Glibc
import HostDevices
import Platform
import SourceVMs
import TestSupport
import Testing

/// An exporter that says what a test has it say, on a socket: to each client the next, and to all others the last.
final class ScriptedExporter {
    let path = "/tmp/vmdev-exporter-\(UInt64.random(in: 0 ... .max))"
    private let listener: Descriptor

    /// What follows the request.
    enum Manner: Sendable {
        case says(String), isSilent, closes, drips, neverEnds

        fileprivate func serve(_ connection: UnixSocket) {
            let deadline = Deadline(after: .seconds(60))
            _ = try? connection.read(upTo: 4096, until: deadline)
            switch self {
            case .closes: return
            case .says(let text): _ = try? connection.send(Array(text.utf8), until: deadline)
            case .isSilent: break
            case .drips:
                while (try? connection.send([0x20], until: deadline)) == true {
                    guard (try? connection.read(upTo: 1, until: Deadline(after: .milliseconds(20)))) == nil else {
                        return
                    }
                }
            case .neverEnds:
                let chunk = [UInt8](repeating: 0x61, count: 65_536)
                while (try? connection.send(chunk, until: deadline)) == true {}
            }
            // Until the other side has had enough.
            _ = try? connection.read(upTo: 1, until: deadline)
        }
    }

    init(_ manners: Manner...) throws {
        listener = try listeningSocket(at: path)
        let listener = listener
        Thread.detachNewThread {
            var number = 0
            while true {
                let client = accept(listener.raw, nil, nil)
                guard client >= 0, let manner = manners.indices.contains(number) ? manners[number] : manners.last
                else { return }
                number += 1
                let connection = UnixSocket(Descriptor(owning: client))
                Thread.detachNewThread { manner.serve(connection) }
            }
        }
    }

    deinit {
        shutdown(listener.raw, Int32(SHUT_RDWR))
        unlink(path)
    }

    func source(timeout: Duration = .seconds(30), isRunning: Bool? = true) throws -> SourceVM {
        SourceVM(
            name: try VMName("sys-usb"), address: .unix(path: path), timeout: timeout, isRunning: { isRunning })
    }
}

@Suite("A source VM that is hostile, broken or absent")
struct HostileSourceTests {
    private func error(_ exporter: ScriptedExporter, timeout: Duration = .seconds(30)) throws -> SourceError? {
        let source = try exporter.source(timeout: timeout)
        let error = #expect(throws: SourceError.self) { try source.devices(of: .block) }
        withExtendedLifetime(exporter) {}
        // Whatever it is, whose doing it is, is said, and nothing of what he said reaches a terminal raw.
        #expect(error?.message.contains("VM sys-usb") == true, "\(error?.message ?? "")")
        #expect(error?.description.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7F } == true)
        return error
    }

    @Test("One that says nothing, or one blank after the other, is silent once the time is over")
    func silent() throws {
        #expect(try error(ScriptedExporter(.isSilent), timeout: .milliseconds(300))?.kind == .silent)
        #expect(try error(ScriptedExporter(.drips), timeout: .milliseconds(300))?.kind == .silent)
        #expect(try error(ScriptedExporter(.closes))?.kind == .silent)
    }

    @Test("An answer without an end is given up long before it fills the memory")
    func endless() throws { #expect(try error(ScriptedExporter(.neverEnds))?.kind == .notUnderstood) }

    private static let disk =
        #""title":"x","instance":"b/1","size":512,"read-only":false"#

    @Test("More devices than there can be, the same one twice, and what is nested without end are refused")
    func counts() throws {
        func list(_ devices: [String]) -> String {
            "{\"vmdev\":1,\"devices\":[\(devices.joined(separator: ","))]}\n"
        }
        func device(_ port: String, _ key: String) -> String {
            #"{"port":"\#(port)","key":"\#(key)",\#(HostileSourceTests.disk)}"#
        }
        let many = (0..<10_000).map { device("sd\($0)", "k\($0)") }
        for answer in [
            list(many), list([device("sda", "k1"), device("sda", "k2")]),
            list([device("sda", "k1"), device("sdb", "k1")]),
            "{\"vmdev\":1,\"devices\":" + String(repeating: "[", count: 300_000) + "\n",
            "{\"vmdev\":1,\"devices\":[],\"x\":" + String(repeating: "{\"x\":", count: 100_000) + "\n",
            "\n", "null\n", "{\"vmdev\":1,\"devices\":null}\n",
        ] {
            #expect(try error(ScriptedExporter(.says(answer)))?.kind == .notUnderstood, "\(answer.prefix(200))")
        }
    }

    @Test("Names that would clear a terminal, end a line of a table or an element of XML do neither")
    func names() throws {
        let hostile = #"\u001b[2J\n<\/disk> & \u202e'\u0000"#
        let device =
            #"{"port":"sda","key":"k","title":"\#(hostile)","uses":["\#(hostile)"],"instance":"b/1","size":512,"read-only":false}"#
        let exporter = try ScriptedExporter(.says("{\"vmdev\":1,\"devices\":[\(device)]}\n"))
        let found = try exporter.source().devices(of: .block)
        withExtendedLifetime(exporter) {}
        let shown = try #require(found.first)
        for text in [shown.title] + shown.uses.map(\.description) {
            #expect(
                text.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0 != "\u{202E}" }, "\(text.debugDescription)")
        }
        for (member, value) in [
            ("port", "sd\\na"), ("port", "sda\\u0000"), ("port", "../sda"), ("key", "a\\nb"), ("key", "<k>"),
            ("instance", "b 1"), ("serial", "S\\n1"), ("serial", "S\\u001b"), ("identities", "usb-x\\nvm=dom0"),
            ("target", "w\\nx"), ("alone", "../k"), ("beneath", ""),
        ] {
            var members = [
                "port": "\"sda\"", "key": "\"k\"", "title": "\"x\"", "instance": "\"b/1\"", "size": "512",
                "read-only": "false",
            ]
            members[member] =
                ["identities", "alone", "beneath"].contains(member) ? "[\"\(value)\"]" : "\"\(value)\""
            let line = members.map { "\"\($0)\":\($1)" }.joined(separator: ",")
            let answer = "{\"vmdev\":1,\"devices\":[{\(line)}]}\n"
            #expect(try error(ScriptedExporter(.says(answer)))?.kind == .notUnderstood, "\(member) \(value)")
        }
    }

    @Test(
        "When it is to export a device, whatever else it answers ends in an error that names it, in time",
        arguments: [
            (ScriptedExporter.Manner.isSilent, SourceError.Kind.silent), (.drips, .silent), (.closes, .silent),
            (.neverEnds, .notUnderstood), (.says("{\"vmdev\":1,\"devices\":[]}\n"), .notUnderstood),
            (.says("{\"vmdev\":1,\"export\":{\"stream\":\"usbredir\"}}\n"), .notUnderstood),
            (.says("{\"vmdev\":1,\"export\":{\"channel\":1,\"name\":\"sda\"}}\n"), .notUnderstood),
            (
                .says("{\"vmdev\":1,\"error\":{\"kind\":\"in-use\",\"message\":\"\\u001b[2J\\n\"}}\n"),
                .inUse(.atSource(""))
            ),
        ])
    func export(manner: ScriptedExporter.Manner, kind: SourceError.Kind) throws {
        let list = "{\"vmdev\":1,\"devices\":[{\"port\":\"sda\",\"key\":\"k\",\(HostileSourceTests.disk)}]}\n"
        let exporter = try ScriptedExporter(.says(list), .says(list), manner)
        let isQuick = if case .silent = kind { true } else { false }
        let source = try exporter.source(timeout: isQuick ? .seconds(5) : .seconds(60))
        let device = try #require(try source.devices(of: .block).first)
        let error = #expect(throws: SourceError.self) {
            try source.access(to: device, for: VMName("work"), readOnly: false, options: .none)
        }
        withExtendedLifetime(exporter) {}
        if case .inUse = kind {
            guard case .inUse? = error?.kind else { throw try #require(error) }
        } else {
            #expect(error?.kind == kind, "\(error?.description ?? "")")
        }
        #expect(error?.message.contains("sys-usb") == true, "\(error?.message ?? "")")
        #expect(error?.description.unicodeScalars.allSatisfy { $0.value >= 0x20 } == true)
    }

    @Test("What is another plug of the device by the time it is to be exported is not taken")
    func swapped() throws {
        func list(_ instance: String) -> String {
            "{\"vmdev\":1,\"devices\":[{\"port\":\"sda\",\"key\":\"k\",\(HostileSourceTests.disk.replacing("b/1", with: instance))}]}\n"
        }
        let exporter = try ScriptedExporter(.says(list("b/1")), .says(list("b/2")))
        let source = try exporter.source()
        let device = try #require(try source.devices(of: .block).first)
        let error = #expect(throws: SourceError.self) {
            try source.access(to: device, for: VMName("work"), readOnly: false, options: .none)
        }
        withExtendedLifetime(exporter) {}
        #expect(error?.kind == .changed)
    }

    @Test("What is not understood is told apart from what was refused")
    func apart() throws {
        #expect(try error(ScriptedExporter(.says("220 smtp\n")))?.kind == .notUnderstood)
        #expect(try error(ScriptedExporter(.says("{\"vmdev\":9}\n")))?.kind == .notUnderstood)
        let refusal = ExportRefusal(.exported, "sdb is exported already to VM other", target: try VMName("other"))
        let line = String(decoding: try ExportReply.refusal(refusal).line(), as: UTF8.self)
        let refused = try error(ScriptedExporter(.says(line)))
        #expect(refused?.kind == .exported)
        #expect(refused?.description.contains("other") == true)
    }

    @Test("A VM that does not run is told apart from one without an exporter")
    func absent() throws {
        for (isRunning, kind) in [(true, SourceError.Kind.silent), (false, .notRunning)] {
            let source = SourceVM(
                name: try VMName("sys-usb"), address: .unix(path: "/tmp/vmdev-no-such-socket"),
                timeout: .seconds(5),
                isRunning: { isRunning })
            #expect(#expect(throws: SourceError.self) { try source.devices(of: .usb) }?.kind == kind)
        }
    }

    @Test("Its devices are its own: whatever it calls them, no lock of the host or of another VM is theirs")
    func keys() throws {
        let device =
            #"{"port":"sda","title":"x","instance":"b/1","key":"block-8:0","beneath":["from:other:block-8:0"],"size":512,"read-only":false}"#
        let exporter = try ScriptedExporter(.says("{\"vmdev\":1,\"devices\":[\(device)]}\n"))
        let found = try exporter.source().devices(of: .block)
        let canonical = try #require(found.first?.canonical)
        #expect(([canonical.key] + canonical.beneath).allSatisfy { $0.hasPrefix("from:sys-usb:") })
        #expect(found.first?.source.description == "sys-usb")
    }
}
