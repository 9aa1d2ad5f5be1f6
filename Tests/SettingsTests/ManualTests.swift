import Foundation
import Testing

@testable import Settings

@Suite("vmdev.conf(5)")
struct ManualTests {
    @Test("Every section and setting stands in the page")
    func isWhole() throws {
        let top = URL(filePath: #filePath).appending(path: "../../..").standardizedFileURL
        let page = try String(contentsOf: top.appending(path: "units/man/vmdev.conf.5"), encoding: .utf8)
        for (section, rules) in Settings.rules {
            #expect(page.contains(".Sh [\(section)]\n"), "[\(section)]")
            for rule in rules { #expect(page.contains(".It Cm \(rule.key)="), "\(rule.key)=") }
        }
    }
}
