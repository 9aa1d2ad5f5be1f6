/// Columns for people: each as wide as its widest cell, two blanks between them, nothing at the end of a line.
struct TextTable {
    private var rows: [[String]] = []

    /// Begins with a heading, unless there is to be none.
    init(heading: [String]?) { rows = heading.map { [$0] } ?? [] }

    mutating func append(_ row: [String]) { rows.append(row) }

    /// The lines, each with its line break.
    var text: String {
        var widths: [Int] = []
        for row in rows {
            for (column, cell) in row.enumerated() {
                if column < widths.count {
                    widths[column] = max(widths[column], cell.count)
                } else {
                    widths.append(cell.count)
                }
            }
        }
        return rows.map { row in
            let cells = zip(row, widths).map { cell, width in
                cell + String(repeating: " ", count: max(0, width - cell.count))
            }
            let line = cells.joined(separator: "  ")
            return String(line.reversed().drop { $0 == " " }.reversed()) + "\n"
        }.joined()
    }
}
