/// The same numbers in each run.
package struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64
    package init(seed: UInt64) { state = seed }

    package mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }

    /// A text of what one format or the other makes something of, and of what none does.
    package mutating func text(_ length: ClosedRange<Int>, of alphabet: [String] = nasty) -> String {
        (0..<Int.random(in: length, using: &self)).map { _ in alphabet.randomElement(using: &self) ?? "" }.joined()
    }

    package static let nasty = [
        "a", "Z", "0", "9", " ", "\\", "#", ";", ",", "=", ":", "*", "-", "_", ".", "/", "'", "\"", "<", ">", "&",
        "&amp;", "]]>",
        "[", "]", "{", "}", "\\040", "\\u0041", "%", "é", "漢", "🙂", "e\u{301}",
    ]
}
