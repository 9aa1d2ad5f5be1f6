import Testing

@testable import JSON

/// What is written is read as the same, and what is not the type that was asked for is an error with its place.
@Suite struct CodingTests {
    struct Everything: Codable, Equatable {
        var flag = true
        var text = "a\"\\/\u{1}\n\t\r é😀"
        var small: Int8 = -128
        var large: UInt64 = .max
        var ratio = 1.5
        var missing: String?
        var list: [Int?] = [1, nil, 3]
        var nested: [[String: Bool]] = [["b": true, "a": false], [:]]
        var wrapped = Wrapped(value: 7)
    }

    struct Wrapped: Codable, Equatable {
        let value: Int

        init(value: Int) { self.value = value }

        init(from decoder: any Decoder) throws { value = try decoder.singleValueContainer().decode(Int.self) }

        func encode(to encoder: any Encoder) throws {
            var container = encoder.singleValueContainer()
            try container.encode(value)
        }
    }

    @Test("Everything comes back")
    func identity() throws {
        let value = Everything()
        #expect(try decodeJSON(Everything.self, from: encodeJSON(value)) == value)
    }

    @Test("Members are written in the order of their names, and nothing is between them")
    func form() throws {
        let text = String(decoding: try encodeJSON(["b": ["x/y"], "a": [], "c": ["\u{7f}\u{1f}"]]), as: UTF8.self)
        #expect(text == "{\"a\":[],\"b\":[\"x/y\"],\"c\":[\"\u{7f}\\u001f\"]}")
    }

    @Test("What JSON cannot hold is not written", arguments: [Double.infinity, -.infinity, .nan])
    func noNumber(value: Double) {
        #expect(throws: EncodingError.self) { try encodeJSON([value]) }
    }

    @Test(
        "What is something else is told with its place",
        arguments: [
            (#"{"list":[1,"2"]}"#, "list.1"), (#"{"list":{}}"#, "list"), (#"{"list":[1.0]}"#, "list.0"),
            (#"{"list":[128]}"#, "list.0"), (#"{"list":[null]}"#, "list.0"),
        ])
    func place(text: String, place: String) throws {
        let error = #expect(throws: DecodingError.self) {
            try decodeJSON([String: [Int8]].self, from: Array(text.utf8))
        }
        let path: [any CodingKey]
        switch error {
        case .typeMismatch(_, let context), .valueNotFound(_, let context): path = context.codingPath
        default: path = []
        }
        #expect(path.map(\.stringValue).joined(separator: ".") == place)
    }

    @Test("Of two members with one name the later counts")
    func twice() throws {
        #expect(try decodeJSON([String: Int].self, from: Array(#"{"a":1,"a":2}"#.utf8)) == ["a": 2])
    }
}
