import Testing

@testable import Hypervisors

/// What QEMU says is read exactly, and nothing else is.
@Suite struct JSONTests {
    static let values: [(String, JSONValue)] = [
        ("null", .null), (" true\r\n", true), ("false", false), ("0", 0), ("-0", 0), ("-17", -17),
        ("9223372036854775807", .integer(.max)), ("-9223372036854775808", .integer(.min)),
        ("18446744073709551616", .number(18_446_744_073_709_551_616)), ("1.5", .number(1.5)),
        ("-2e3", .number(-2000)),
        ("1E-2", .number(0.01)), ("\"\"", ""), ("\"a/b\"", "a/b"), ("\"ü€😀\"", "ü€😀"),
        (#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{c}\n\r\t"), (#""\u00fc\u20AC""#, "ü€"), (#""\ud83d\ude00""#, "😀"),
        (#""\ud83d!""#, "\u{FFFD}!"), (#""\ude00""#, "\u{FFFD}"), (#""\ud83d\u0041""#, "\u{FFFD}A"),
        ("[]", .array([])), ("[ 1 , [ ] ]", .array([1, .array([])])), ("{}", [:]),
        (#"{ "a" : 1, "b": {"c": null} }"#, ["a": 1, "b": ["c": .null]]), (#"{"a": 1, "a": 2}"#, ["a": 2]),
    ]

    @Test("Each form of a value is read as what it is", arguments: values)
    func reads(text: String, value: JSONValue) {
        #expect(JSONParser.parse(Array(text.utf8)) == value)
    }

    @Test("What is written is read back the same", arguments: values)
    func writes(text: String, value: JSONValue) {
        #expect(JSONParser.parse(Array(value.text.utf8)) == value)
        #expect(!value.text.contains("\n"))
    }

    @Test(
        "What is not exactly one JSON value is refused",
        arguments: [
            "", " ", "nul", "truex", "1 2", "01", "+1", "-", "1.", ".5", "1e", "0x10", "NaN", "\"", "\"\\\"",
            "\"\n\"", "\"\\x\"", "\"\\u12\"", "\"\\u12g4\"", "[", "]", "[1", "[1,", "[1,]", "[,]", "[1 2]", "{",
            "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":1,}", "{a:1}", "{1:1}", "{\"a\" 1}", "{}}", "'a'", "\u{FEFF}1",
        ])
    func refuses(text: String) {
        #expect(JSONParser.parse(Array(text.utf8)) == nil)
    }

    @Test(
        "Bytes that are not UTF-8 are refused",
        arguments: [[0x22, 0xff, 0x22], [0x22, 0xc3, 0x22], [0x22, 0xed, 0xa0, 0x80, 0x22]] as [[UInt8]])
    func notUTF8(bytes: [UInt8]) {
        #expect(JSONParser.parse(bytes) == nil)
    }

    @Test(
        "Nesting is taken to a depth of 128 and no deeper",
        arguments: [(128, true), (129, false), (1_000_000, false)])
    func depth(count: Int, accepted: Bool) {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let inner = open == "[" ? "" : "1"
            let text = String(repeating: open, count: count) + inner + String(repeating: close, count: count)
            #expect((JSONParser.parse(Array(text.utf8)) != nil) == accepted)
        }
    }
}
