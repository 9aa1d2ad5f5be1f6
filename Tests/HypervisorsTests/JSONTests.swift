import FoundationEssentials
import TestSupport
import Testing

@testable import Hypervisors

/// What QEMU says is read exactly, and nothing else is.
@Suite struct JSONTests {
    static let numbers: [(String, Int64)] = [
        ("0", 0), ("-0", 0), ("-17", -17), ("9007199254740993", 9_007_199_254_740_993),
        ("9223372036854775807", .max), ("-9223372036854775808", .min), (" 5\t", 5),
    ]

    @Test("Whole numbers are read to the last digit", arguments: numbers)
    func wholeNumbers(text: String, value: Int64) throws {
        #expect(try reply(text, as: Int64.self) == value)
    }

    @Test(
        "What is no whole number of 64 bits is not taken for one",
        arguments: [
            "9223372036854775808", "-9223372036854775809", "18446744073709551616", "1e400", "-1e400", "1.5",
            String(repeating: "9", count: 100_000), "1e" + String(repeating: "9", count: 100_000),
            "01", "+1", "-", "\"1\"", "true", "null", "[1]",
            "{}", "NaN", "0x10",
        ])
    func outOfRange(text: String) {
        #expect(throws: QMPError.self) { try reply(text, as: Int64.self) }
    }

    static let strings: [(String, String)] = [
        ("\"\"", ""), ("\"a/b\"", "a/b"), ("\"ü€😀\"", "ü€😀"),
        (#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{c}\n\r\t"), (#""\u00fc\u20AC""#, "ü€"), (#""\ud83d\ude00""#, "😀"),
        (#""a\u0000b""#, "a\0b"),
    ]

    @Test("Each form of a text is read as what it is", arguments: strings)
    func texts(text: String, value: String) throws {
        #expect(try reply(text, as: String.self) == value)
    }

    @Test("Every random text goes out as one line of JSON, and comes in as what it is")
    func randomTexts() throws {
        var random = SeededGenerator(seed: 1)
        for number in 0..<500 {
            let text = random.text(0...30) + ["", "\n", "\u{0}", "\u{1b}[2J", "\u{2028}"][number % 5]
            let line = try QMPCommand<QMP.Nothing>.removeNode(text).request.line(id: 5, by: QMPRequest.encoder)
            #expect(line.filter { $0 == UInt8(ascii: "\n") }.count == 1)
            // The command as it went out is the answer.
            let answer = Array("{\"return\": ".utf8) + line.dropLast() + Array(", \"id\": 5}".utf8)
            #expect(try reply(line: answer, as: Sent.self).arguments == ["node-name": text])
        }
    }

    private struct Sent: Decodable, Sendable { let arguments: [String: String] }

    @Test("Truth values are no numbers and no texts")
    func truth() throws {
        #expect(try reply("true", as: Bool.self))
        #expect(try !reply("false", as: Bool.self))
        for text in ["1", "0", "\"true\"", "null"] {
            #expect(throws: QMPError.self) { try reply(text, as: Bool.self) }
        }
    }

    @Test(
        "Nothing of a reply is looked at when only its arrival counts", arguments: ["{}", "[1]", "null", "1e999"])
    func unread(text: String) throws {
        _ = try reply(text, as: QMP.Nothing.self)
    }

    @Test(
        "A line that is not exactly one JSON value is refused",
        arguments: [
            " ", "nul", "{} {}", "\"", "{\"return\": \"\\\"}", "{\"return\": [}",
            "{\"return\": [1 2]}", "{\"return\"", "{\"return\":", "{\"return\": 1", "{return: 1}", "{1: 1}",
            "{\"return\" 1}", "{\"return\": 1}}", "{'return': 1}", "{\"event\": \"\n\"}", "{\"event\": \"\0\"}",
            "\0", "\0\0\0\0", "{\"return\": 1}\0", "{\"event\": \"\\x\"}", "{\"event\": \"\\u12\"}",
            "{\"event\": \"\\ud83d!\"}",
        ])
    func refusesLine(text: String) {
        #expect(undecodable(Array(text.utf8)))
    }

    @Test(
        "JSON that is no message is refused",
        arguments: ["1", "[]", "{}", "null", "{\"QMP\": 1}", "{\"error\": {}}"])
    func noMessage(text: String) {
        #expect(undecodable(Array(text.utf8)))
    }

    @Test(
        "Bytes that are not UTF-8 are refused",
        arguments: [[0xff], [0xc3], [0xed, 0xa0, 0x80], [0xf5, 0x80, 0x80, 0x80]] as [[UInt8]])
    func notUTF8(bytes: [UInt8]) {
        #expect(undecodable(Array("{\"event\": \"".utf8) + bytes + Array("\"}".utf8)))
        let line = Array("{\"id\": 1, \"return\": \"".utf8) + bytes + Array("\"}".utf8)
        #expect(throws: QMPError.self) { try reply(line: line, as: String.self) }
        #expect(undecodable(bytes))
    }

    @Test(
        "Nesting is taken to a depth that QEMU never comes near, and no deeper",
        arguments: [(100, true), (1000, false), (100_000, false), (4_000_000, false)])
    func depth(count: Int, accepted: Bool) {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let value = String(repeating: open, count: count) + "1" + String(repeating: close, count: count)
            for prefix in ["{\"return\": ", "{\"x\": "] {
                let line = Array((prefix + value + ", \"event\": \"E\"}").utf8)
                #expect(undecodable(line) == !accepted)
            }
            #expect(undecodable(Array(String(repeating: open, count: count).utf8)))
        }
    }

    @Test("A member that comes twice makes no more than one message")
    func twice() throws {
        let line = Array(#"{"return": 1, "return": 1, "id": 1, "id": 1}"#.utf8)
        #expect(try reply(line: line, as: Int64.self) == 1)
    }

    @Test("A reply of the wrong form is told with the member that is wrong and its bytes, bounded")
    func misfit() {
        let image = "\"image\": {\"virtual-size\": \"x\", \"y\": \"\(String(repeating: "z", count: 10_000))\"}"
        let error = #expect(throws: QMPError.self) {
            try reply("[{\"inserted\": {\"ro\": true, \(image)}}]", as: [QMP.Disk].self)
        }
        guard case .undecodable(let what, let raw) = error else {
            Issue.record("\(error.map(\.description) ?? "no error")")
            return
        }
        #expect(
            what
                == "an answer whose '0.inserted.image.virtual-size' is missing or of another type than it should be"
        )
        #expect(raw.count == QMPError.keptBytes)
    }

    static let plainValues = [
        "{}", "\"\"", "\"/machine/unattached/device[2]\"", "0", "-0", "-17", "999999999999999999", "true",
        "{\"name\": \"work\"}", "{\"fd\": 13, \"fdset-id\": 0}",
        "{\"status\": \"prelaunch\", \"singlestep\": false, \"running\": false}",
    ]

    @Test(
        "A reply in QEMU's plain form is read without the JSON reader, and as that reads it", arguments: plainValues
    )
    func readsPlain(text: String) throws {
        let line = Array("{\"return\": \(text), \"id\": 7}".utf8)
        let plain = try #require(QMPPlainReply(line))
        #expect(plain.id == 7)
        #expect(plain.reply(as: String.self) == byJSON(line, String.self))
        #expect(plain.reply(as: Int64.self) == byJSON(line, Int64.self))
        #expect(plain.reply(as: QMP.Status.self)?.status == byJSON(line, QMP.Status.self)?.status)
        #expect(plain.reply(as: QMP.FDSetNumber.self)?.number == byJSON(line, QMP.FDSetNumber.self)?.number)
        if let name = plain.reply(as: QMP.Name.self) { #expect(name.name == byJSON(line, QMP.Name.self)?.name) }
        #expect(plain.reply(as: QMP.Nothing.self) == QMP.Nothing())
        #expect(plain.reply(as: [QOM.Entry].self) == nil)
    }

    @Test(
        "What differs from QEMU's plain form in anything is left to the JSON reader",
        arguments: [
            "", "{", "{\"return\": ", "{\"return\": 1", "{\"return\": 1, \"id\": 7", "{\"return\": 1, \"id\": 7} ",
            "{\"return\": 1, \"id\": 7}}", "{\"return\":1,\"id\":7}", "{\"id\": 7, \"return\": 1}",
            "{\"return\": 01, \"id\": 7}", "{\"return\": 1.0, \"id\": 7}", "{\"return\": -, \"id\": 7}",
            "{\"return\": 9223372036854775808, \"id\": 7}", "{\"return\": 1, \"id\": \"7\"}",
            "{\"return\": null, \"id\": 7}", "{\"return\": [], \"id\": 7}", "{\"return\": tru, \"id\": 7}",
            "{\"return\": \"a\\n\", \"id\": 7}", "{\"return\": \"a\u{7f}\", \"id\": 7}",
            "{\"return\": \"ü\", \"id\": 7}", "{\"return\": \"a, \"id\": 7}",
            "{\"return\": {\"a\": {}}, \"id\": 7}",
            "{\"return\": {\"a\": 1,}, \"id\": 7}", "{\"return\": {\"a\"}, \"id\": 7}",
            "{\"return\": {a: 1}, \"id\": 7}",
        ])
    func notPlain(text: String) { #expect(QMPPlainReply(Array(text.utf8)) == nil) }

    @Test("A member that comes twice, or of another type than it should be, is left to the JSON reader")
    func doubtful() throws {
        for object in [#"{"status": "a", "status": "b"}"#, #"{"status": 1}"#, #"{"state": "a"}"#] {
            let plain = try #require(QMPPlainReply(Array("{\"return\": \(object), \"id\": 7}".utf8)))
            #expect(plain.reply(as: QMP.Status.self)?.status == nil)
        }
    }

    /// What the JSON reader makes of it, told to be no plain reply by a space.
    private func byJSON<Reply: Decodable>(_ line: [UInt8], _ type: Reply.Type) -> Reply? {
        let line = [UInt8(ascii: " ")] + line
        guard case .reply(7, .success(let reply))? = try? QMPMessage<Reply>(line: line, by: JSONDecoder()) else {
            return nil
        }
        return reply
    }

    private func reply<Reply: Decodable>(_ text: String, as type: Reply.Type) throws -> Reply {
        try reply(line: Array("{\"return\": \(text), \"id\": 1}".utf8), as: type)
    }

    private func reply<Reply: Decodable>(line: [UInt8], as type: Reply.Type) throws -> Reply {
        guard case .reply(_, let result) = try QMPMessage<Reply>(line: line, by: JSONDecoder()) else {
            throw QMPError.transport("no reply")
        }
        return try result.get()
    }

    private func undecodable(_ line: [UInt8]) -> Bool {
        do {
            _ = try QMPMessage<QMP.Nothing>(line: line, by: JSONDecoder())
            return false
        } catch {
            if case .undecodable = error { return true }
            return false
        }
    }
}
