internal import Devices

/// A configuration file in systemd's form (systemd.syntax(7)): `[Section]`, `Key=value`, comments after `#` or `;` on
/// lines of their own, a backslash at the end of a line to go on in the next.
struct ConfigurationFile {
    /// One `Key=value`.
    struct Entry: Equatable {
        let section: String
        let key: String
        /// Empty when the default is asked for.
        let value: String
        /// Where it begins, from 1.
        let line: Int
    }

    /// A section's beginning.
    struct Section: Equatable {
        let name: String
        let line: Int
    }

    private(set) var entries: [Entry] = []
    private(set) var sections: [Section] = []
    /// What is no configuration at all.
    private(set) var problems: [SettingsProblem] = []

    private let path: String
    private var section: String?

    /// Reads the content of the file at `path`.
    init(_ bytes: [UInt8], path: String) {
        self.path = path
        let mark: [UInt8] = [0xef, 0xbb, 0xbf]
        let content = bytes.starts(with: mark) ? bytes[mark.count...] : bytes[...]
        var pending: (text: String, line: Int)?
        var number = 0
        for raw in content.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
            number += 1
            let bytes = raw.last == UInt8(ascii: "\r") ? raw.dropLast() : raw
            if isComment(bytes) { continue }
            guard !bytes.contains(0), let text = String(validating: bytes, as: UTF8.self) else {
                let fault = bytes.contains(0) ? "holds a NUL byte" : "is not UTF-8 text"
                report(number, "the line \(fault): expected a text file in UTF-8; it may be damaged, restore it")
                pending = nil
                continue
            }
            let joined = (pending?.text ?? "") + text
            let line = pending?.line ?? number
            pending = nil
            if joined.hasSuffix("\\") {
                pending = (String(joined.dropLast()) + " ", line)
            } else {
                take(joined.trimmingBlanks, line)
            }
        }
        if let pending { take(pending.text.trimmingBlanks, pending.line) }
    }

    private mutating func take(_ text: String, _ line: Int) {
        guard !text.isEmpty else { return }
        if text.hasPrefix("[") {
            let name = text.dropFirst().dropLast()
            guard text.hasSuffix("]"), !name.isEmpty, !name.contains(where: { "[]".contains($0) }) else {
                // What follows must not count for the section before.
                section = nil
                return report(line, "'\(printable(text, limit: 80))' is not a valid section: expected [NAME]")
            }
            section = String(name)
            sections.append(Section(name: String(name), line: line))
            return
        }
        guard let equals = text.firstIndex(of: "="), equals > text.startIndex else {
            return report(line, "'\(printable(text, limit: 80))' is not a valid setting: expected NAME=VALUE")
        }
        entries.append(
            Entry(
                section: section ?? "", key: text[..<equals].trimmingBlanks,
                value: text[text.index(after: equals)...].trimmingBlanks, line: line))
    }

    private func isComment(_ line: ArraySlice<UInt8>) -> Bool {
        let first = line.first { $0 != UInt8(ascii: " ") && $0 != UInt8(ascii: "\t") }
        return first == UInt8(ascii: "#") || first == UInt8(ascii: ";")
    }

    private mutating func report(_ line: Int, _ message: String) {
        problems.append(SettingsProblem(file: path, line: line, message))
    }
}
