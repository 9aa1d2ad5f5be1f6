import Foundation
import Testing

private let manuals = packageFolder + "/units/man"

@Suite("The manual pages", needs(Requirement.command("man", of: "man-db")))
struct ManualTests {
    @Test("man has nothing to say against any page", arguments: try pages())
    func rendersCleanly(_ page: String) throws {
        let outcome = try run("man", ["--warnings", "-E", "ascii", "-l", "-Tascii", "\(manuals)/\(page)"])
        #expect(outcome.status == 0)
        #expect(outcome.errors == "")
    }

    @Test("A mistake in a page would be found, so that silence means something")
    func findsMistakes() throws {
        let path = temporaryPath("page") + ".1"
        defer { try? FileManager.default.removeItem(atPath: path) }
        try ".TH X 1\n.SH NAME\nx \\- \\[nosuchglyph]\n".write(toFile: path, atomically: true, encoding: .utf8)
        #expect(try run("man", ["--warnings", "-E", "ascii", "-l", "-Tascii", path]).errors != "")
    }

    @Test("Every option, command and device option that --help knows stands in vmdevctl(1)")
    func vmdevctlIsWhole() throws {
        let page = try text(of: "vmdevctl.1")
        let top = try run(program("vmdevctl"), ["--help"]).output
        var helps = [top]
        for command in subcommands(in: top) {
            #expect(page.contains(command), "command \(command)")
            let help = try run(program("vmdevctl"), ["help", command]).output
            helps.append(help)
            for action in subcommands(in: help) {
                #expect(page.contains(action), "command \(action)")
                helps.append(try run(program("vmdevctl"), ["help", command, action]).output)
            }
        }
        #expect(helps.count > 25)
        for option in Set(helps.flatMap(options)) { #expect(page.contains(option), "option \(option)") }

        let table = try text(of: "vmdev-assignments.5")
        for option in Set(helps.flatMap(deviceOptions)) {
            #expect(table.contains(option + "="), "option \(option)")
        }
    }

    @Test(
        "Every option that --help knows stands in the page of the program",
        arguments: [("vmdev-apply", "vmdev-apply.8"), ("vmdev-export", "vmdev-export.8")])
    func isWhole(_ name: String, _ page: String) throws {
        let known = options(in: try run(program(name), ["--help"]).output)
        #expect(known.count > 3)
        let text = try text(of: page)
        for option in known { #expect(text.contains(option), "option \(option)") }
    }

    private func text(of page: String) throws -> String {
        try tool("man", "-E", "ascii", "-l", "-P", "cat", "\(manuals)/\(page)")
    }

    private func subcommands(in help: String) -> [String] {
        let lines = help.components(separatedBy: "SUBCOMMANDS:\n").dropFirst().first?.split(separator: "\n") ?? []
        return lines.filter { $0.hasPrefix("  ") && !$0.hasPrefix("   ") && !$0.hasPrefix("  See") }
            .compactMap { $0.split(whereSeparator: { " ,".contains($0) }).first.map(String.init) }
            .filter { $0 != "help" }
    }

    /// `-o`, `--option`: what the lines of OPTIONS begin with.
    private func options(in help: String) -> [String] {
        let lines = help.components(separatedBy: "OPTIONS:\n").dropFirst().first?.split(separator: "\n") ?? []
        return lines.filter { $0.hasPrefix("  -") }.flatMap { line in
            line.prefix { $0 != "<" }.split(whereSeparator: { " ,".contains($0) }).map(String.init)
                .prefix { $0.hasPrefix("-") }
        }
    }

    /// `read-only`: what stands before `=…`.
    private func deviceOptions(in help: String) -> [String] {
        help.split(separator: "\n").filter { $0.hasPrefix("  ") && $0.contains("=…") }
            .compactMap { $0.split(separator: "=").first?.trimmingCharacters(in: .whitespaces) }
    }
}

private func pages() throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: manuals).sorted()
}
