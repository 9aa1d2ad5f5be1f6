import Devices
import Testing

@Suite struct PrintableTests {
    @Test(
        "What a device says of itself cannot move the cursor, break a line or turn the text round",
        arguments: [
            ("plain 'text' (1)", "plain 'text' (1)"), ("größe 漢 🔒", "größe 漢 🔒"), ("a\nb\r\tc", "a?b??c"),
            ("\u{1b}[2J\u{1b}]0;x\u{7}", "?[2J?]0;x?"), ("\u{9b}2J", "?2J"), ("a\0b", "a?b"), ("a\u{7f}", "a?"),
            ("\u{202e}gnp.exe", "?gnp.exe"), ("\u{2066}a\u{2069}", "?a?"), ("\u{feff}a\u{200b}", "?a?"),
            ("a\u{2028}b\u{2029}c", "a?b?c"), ("a\u{a0}b\u{3000}", "a?b?"), ("\u{e000}", "?"), ("\u{e0041}", "?"),
            ("", ""),
        ])
    func text(_ text: String, _ means: String) {
        #expect(printable(text) == means)
        #expect(printable(Array(text.utf8)) == means)
    }

    @Test("A text longer than the limit is cut where it says so, by text and by bytes alike")
    func limit() {
        for limit in [1, 5, 80] {
            for character in ["x", "é", "漢", "🔒"] {
                let fits = String(repeating: character, count: limit)
                #expect(printable(fits, limit: limit) == fits)
                #expect(printable(Array(fits.utf8), limit: limit) == fits)
                #expect(printable(fits + character, limit: limit) == fits + "…")
                #expect(printable(Array((fits + fits + character).utf8), limit: limit) == fits + "…")
            }
        }
        #expect(printable(String(repeating: "x", count: 300)).unicodeScalars.count == 257)
    }

    @Test("Bytes that are no UTF-8 are shown as such")
    func bytes() {
        #expect(printable([0x61, 0xff, 0x62] as [UInt8]) == "a\u{fffd}b")
        #expect(printable([0xf0, 0x9f] as [UInt8]) == "\u{fffd}")
    }

    @Test("An error shows a wrong text harmless and short")
    func errors() throws {
        let error = try #require(throws: SyntaxError.self) {
            try VMName("\u{1b}" + String(repeating: "a", count: 500))
        }
        #expect(error.found.hasPrefix("?aaa"))
        #expect(error.found.unicodeScalars.count == 81)
    }
}
