import TestSupport
import Testing

@testable import Settings

@Suite("A configuration file that was written is read as it was meant")
struct RoundTripTests {
    @Test(
        "Every random section, key and value, with comments and broken lines between them, in either kind of line end"
    )
    func roundTrip() throws {
        var random = SeededGenerator(seed: 3)
        for _ in 0..<500 {
            let end = random.next() % 2 == 0 ? "\n" : "\r\n"
            var text = random.next() % 4 == 0 ? "\u{feff}" : ""
            var line = 0
            var entries: [ConfigurationFile.Entry] = []
            var section = ""
            func add(_ words: String) {
                text += words + end
                line += 1
            }
            for _ in 0..<Int.random(in: 0...12, using: &random) {
                switch random.next() % 5 {
                case 0:
                    section = "S \(random.next() % 5)"
                    add(["", " "][Int(random.next() % 2)] + "[\(section)] ")
                case 1:
                    add(
                        ["", "  ", "# \(random.text(0...9))", " ; \(random.text(0...9))\\"][Int(random.next() % 4)])
                default:
                    let key = random.text(1...6, of: ["a", "B", "9", "-", "é", " x"]).split(separator: " ").joined(
                        separator: " ")
                    // A value begins and ends where its blanks do; a backslash at its end would go on in the next line.
                    let value = "v" + random.text(0...12) + "."
                    let isBroken = random.next() % 4 == 0
                    entries.append(
                        ConfigurationFile.Entry(
                            section: section, key: key, value: isBroken ? "\(value) x\(value)" : value,
                            line: line + 1))
                    add("\(key) = \(value)" + (isBroken ? "\\" : " "))
                    if isBroken { add("x\(value)") }
                }
            }
            let file = ConfigurationFile(Array(text.utf8), path: "vmdev.conf")
            #expect(file.problems.isEmpty)
            #expect(file.entries == entries)
        }
    }
}
