import Foundation

/// One line of the table: what is ours beside what it is compared with.
struct Line: Codable {
    let name: String
    let unit: String
    /// The medians.
    let ours: Double
    let theirs: Double?
    /// The median of the ratios of the pairs, each of which was measured at one moment.
    let ratio: Double?
    /// At most this: of the ratio where there is one, else of what is ours.
    let goal: Double?
    let rounds: Int

    var isKept: Bool? { goal.map { (ratio ?? ours) <= $0 } }
}

/// All lines, as a table and as JSON.
struct Report: Codable {
    var lines: [Line] = []
    var notes: [String] = []

    /// Measures both in turn, so that whatever else the machine does falls on both alike.
    mutating func compare(
        _ name: String, rounds: Int, goal: Double? = nil, _ ours: () throws -> Cost, _ theirs: () throws -> Cost
    ) throws {
        var (left, right): ([Double], [Double]) = ([], [])
        // The first of each finds the files not yet in memory.
        _ = (try ours(), try theirs())
        for round in 0..<rounds {
            // Whichever comes second may find something warm.
            if round % 2 == 0 { left.append(try ours().wall) }
            right.append(try theirs().wall)
            if round % 2 == 1 { left.append(try ours().wall) }
        }
        add(
            Line(
                name: name, unit: "µs", ours: median(left), theirs: median(right),
                ratio: median(zip(left, right).map { $0 / $1 }), goal: goal, rounds: rounds))
    }

    /// What has nothing to be compared with.
    mutating func measure(_ name: String, _ value: Double, _ unit: String, goal: Double? = nil, rounds: Int = 1) {
        add(Line(name: name, unit: unit, ours: value, theirs: nil, ratio: nil, goal: goal, rounds: rounds))
    }

    /// One more line; it is shown at once.
    mutating func add(_ line: Line) {
        lines.append(line)
        FileHandle.standardError.write(Data("\(row(line))\n".utf8))
    }

    var table: String {
        let head = row(["", "ours", "compared with", "ratio", "goal", ""])
        return ([head] + lines.map(row) + notes.map { "note: \($0)" }).joined(separator: "\n")
    }

    private func row(_ line: Line) -> String {
        row([
            line.name, "\(shown(line.ours)) \(line.unit)", line.theirs.map { "\(shown($0)) \(line.unit)" } ?? "",
            line.ratio.map { String(format: "%.2f", $0) } ?? "", line.goal.map { String(format: "%g", $0) } ?? "",
            line.isKept.map { $0 ? "kept" : "MISSED" } ?? "",
        ])
    }

    private func shown(_ value: Double) -> String { String(format: value < 100 ? "%.1f" : "%.0f", value) }

    private func row(_ cells: [String]) -> String {
        let widths = [58, 12, 14, 7, 6, 6]
        return zip(cells, widths).enumerated().map { index, cell in
            let pad = String(repeating: " ", count: max(0, cell.1 - cell.0.count))
            return index == 0 ? cell.0 + pad : pad + cell.0
        }.joined(separator: " ")
    }
}
