import Foundation
import Glibc
import Platform
import Testing

@testable import Systemd

@Suite("The journal")
struct JournalTests {
    @Test("An entry arrives with exactly its fields, and a line break in a value does not begin a new field")
    func framing() async {
        await #expect(processExitsWith: .success) {
            try enterPrivateRun()
            try FileManager.default.createDirectory(
                atPath: "/run/systemd/journal", withIntermediateDirectories: true)
            let journald = try Mailbox(at: "/run/systemd/journal/socket")
            let entry = JournalEntry(
                .error, "no disk", messageID: MessageID(0x1, 0xabc),
                fields: [.init(.target, "work"), .init(.identity, "a\nPRIORITY=0")])
            try #require(Journal(environment: [:]).send(entry))

            let text = String(decoding: try #require(try journald.take()), as: UTF8.self)
            #expect(
                text.hasPrefix(
                    """
                    MESSAGE=no disk
                    PRIORITY=3
                    MESSAGE_ID=00000000000000010000000000000abc
                    VMDEV_TARGET=work
                    VMDEV_IDENTITY
                    \u{c}\0\0\0\0\0\0\0a
                    PRIORITY=0

                    """))
            #expect(!text.contains("CODE_"))
        }
    }

    @Test("Where journald does not run, sending says that nothing was told")
    func absent() async {
        await #expect(processExitsWith: .success) {
            try enterPrivateRun()
            let journal = Journal(environment: [:])
            #expect(!journal.isAvailable)
            #expect(!journal.send(JournalEntry(.info, "lost")))
        }
    }

    @Test("A socket on which nobody listens any more counts as nothing told")
    func abandoned() async {
        await #expect(processExitsWith: .success) {
            try enterPrivateRun()
            try FileManager.default.createDirectory(
                atPath: "/run/systemd/journal", withIntermediateDirectories: true)
            _ = try Mailbox(at: "/run/systemd/journal/socket")
            #expect(!Journal(environment: [:]).send(JournalEntry(.info, "lost")))
        }
    }

    @Test("Under another root the journal of this host is not written to")
    func otherRoot() async {
        await #expect(processExitsWith: .success) {
            try enterPrivateRun()
            try FileManager.default.createDirectory(
                atPath: "/run/systemd/journal", withIntermediateDirectories: true)
            let journald = try Mailbox(at: "/run/systemd/journal/socket")
            #expect(!Journal(root: Root("/tmp"), environment: [:]).send(JournalEntry(.info, "test")))
            #expect(try journald.take() == nil)
        }
    }

    @Test("Standard error counts as going to the journal only when JOURNAL_STREAM names that very stream")
    func standardError() async {
        await #expect(processExitsWith: .success) {
            try enterPrivateRun()
            try FileManager.default.createDirectory(
                atPath: "/run/systemd/journal", withIntermediateDirectories: true)
            let journald = try Mailbox(at: "/run/systemd/journal/socket")
            var status = stat()
            fstat(STDERR_FILENO, &status)
            let this = "\(status.st_dev):\(status.st_ino)"
            #expect(Journal(environment: ["JOURNAL_STREAM": this]).receivesStandardError)
            #expect(!Journal(environment: ["JOURNAL_STREAM": "\(this)0"]).receivesStandardError)
            #expect(!Journal(environment: [:]).receivesStandardError)
            #expect(try journald.take() == nil)
        }
    }

    @Test("The real journald keeps every field under its name", .enabled(if: JournalTests.hasJournald))
    func journald() async {
        await #expect(processExitsWith: .success) {
            try enterPrivateRun()
            try FileManager.default.createDirectory(atPath: "/run/log/journal", withIntermediateDirectories: true)
            try FileManager.default.createDirectory(
                atPath: "/run/systemd/journal", withIntermediateDirectories: true)
            let watch = try FolderWatch("/run/systemd/journal")
            let journald = Process()
            journald.executableURL = URL(fileURLWithPath: "/lib/systemd/systemd-journald")
            try journald.run()
            defer { kill(journald.processIdentifier, SIGKILL) }
            let deadline = Deadline(after: .seconds(30))
            while !FileManager.default.fileExists(atPath: "/run/systemd/journal/io.systemd.journal") {
                try #require(try watch.next(until: deadline), "journald did not start")
            }

            let fields = JournalEntry.Field.Name.allCases.map { JournalEntry.Field($0, "of \($0)\nline 2") }
            try #require(
                Journal(environment: [:]).send(
                    JournalEntry(.warning, "hello", messageID: MessageID(1, 2), fields: fields)))

            let id = MessageID(1, 2).description
            let script =
                "journalctl --sync; journalctl -D /run/log/journal -o json --no-pager MESSAGE_ID=\(id)"
            let reader = Process()
            reader.executableURL = URL(fileURLWithPath: "/bin/sh")
            reader.arguments = ["-c", script]
            let pipe = Pipe()
            reader.standardOutput = pipe
            try reader.run()
            let output = pipe.fileHandleForReading.readDataToEndOfFile()
            reader.waitUntilExit()
            let entry = try #require(try JSONSerialization.jsonObject(with: output) as? [String: Any])
            #expect(entry["MESSAGE"] as? String == "hello")
            #expect(entry["PRIORITY"] as? String == "4")
            for field in fields { #expect(entry[field.name.rawValue] as? String == field.value) }
        }
    }

    @Test("A message ID is 32 hexadecimal digits, whatever its bits", arguments: [0, 1, 0xf, UInt64.max])
    func messageID(half: UInt64) {
        let digits = MessageID(half, half).description
        #expect(digits.utf8.count == 32)
        #expect(digits.allSatisfy { "0123456789abcdef".contains($0) })
        #expect(UInt64(digits.prefix(16), radix: 16) == half)
        #expect(UInt64(digits.suffix(16), radix: 16) == half)
    }

    @Test("journald accepts the name of every field of ours", arguments: JournalEntry.Field.Name.allCases)
    func fieldName(name: JournalEntry.Field.Name) {
        #expect(name.rawValue.utf8.count <= 64)
        // The others are systemd's own (systemd.journal-fields(7)), which `journalctl -u` looks at.
        #expect(
            name.rawValue.hasPrefix("VMDEV_") || ["OBJECT_SYSTEMD_UNIT", "INVOCATION_ID"].contains(name.rawValue))
        #expect(name.rawValue.allSatisfy { "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789".contains($0) })
    }

    static let hasJournald = FileManager.default.isExecutableFile(atPath: "/lib/systemd/systemd-journald")
}
