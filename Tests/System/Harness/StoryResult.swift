import Foundation
import Testing

/// What ran in a container has left, a file for each thing that a test asks about.
protocol StoryResult {
    /// The folder with these files.
    var result: String { get }
}

extension StoryResult {
    /// What a file says; empty when there is none.
    func read(_ name: String) -> String {
        (try? String(contentsOfFile: "\(result)/\(name)", encoding: .utf8)) ?? ""
    }

    /// Its lines.
    func lines(_ name: String) -> [String] { read(name).split(separator: "\n").map(String.init) }

    /// The entries of a journal in JSON.
    func entries(_ name: String) -> [[String: String]] {
        lines(name).compactMap { try? JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: String] }
    }

    /// Each of these words is in the file.
    func expect(_ name: String, _ words: String..., sourceLocation: SourceLocation = #_sourceLocation) {
        let text = read(name)
        for word in words { #expect(text.contains(word), "\(name): \(text)", sourceLocation: sourceLocation) }
    }
}
