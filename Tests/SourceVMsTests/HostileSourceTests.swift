import Devices
import ExportProtocol
import Foundation
import Glibc
import HostDevices
import Platform
import SourceVMs
import Testing

/// An exporter that says what a test has it say, on a socket, to one client.
final class ScriptedExporter {
    let path = "/tmp/vmdev-exporter-\(UInt64.random(in: 0 ... .max))"
    private let listener: Descriptor

    /// What follows the request.
    enum Manner: Sendable {
        case says(String), isSilent, closes, drips, neverEnds
    }

    init(_ manner: Manner) throws {
        let raw = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | 0o2_000_000, 0)
        listener = Descriptor(owning: raw)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(raw, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        try #require(bound == 0 && listen(raw, 4) == 0)
        let listener = listener
        Thread.detachNewThread {
            let client = accept(listener.raw, nil, nil)
            guard client >= 0 else { return }
            let connection = UnixSocket(Descriptor(owning: client))
            let deadline = Deadline(after: .seconds(60))
            _ = try? connection.read(upTo: 4096, until: deadline)
            switch manner {
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
        return #expect(throws: SourceError.self) { try source.devices(of: .block) }
    }

    @Test("One that says nothing, or one blank after the other, is silent once the time is over")
    func silent() throws {
        #expect(try error(ScriptedExporter(.isSilent), timeout: .milliseconds(300))?.kind == .silent)
        #expect(try error(ScriptedExporter(.drips), timeout: .milliseconds(300))?.kind == .silent)
        #expect(try error(ScriptedExporter(.closes))?.kind == .silent)
    }

    @Test("An answer without an end is given up long before it fills the memory")
    func endless() throws { #expect(try error(ScriptedExporter(.neverEnds))?.kind == .notUnderstood) }

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
