internal import Devices

/// Columns for people: each as wide as its widest cell, two blanks between them, nothing at the end of a line.
///
/// Every cell is made printable once more here: this is the last place before a terminal.
struct TextTable {
    private var rows: [[String]] = []

    /// Begins with a heading, unless there is to be none.
    init(heading: [String]?) { rows = heading.map { [$0] } ?? [] }

    mutating func append(_ row: [String]) { rows.append(row.map { printable($0, limit: 1024) }) }

    /// The lines, each with its line break.
    var text: String {
        var widths: [Int] = []
        for row in rows {
            for (column, cell) in row.enumerated() {
                if column < widths.count {
                    widths[column] = max(widths[column], cell.columns)
                } else {
                    widths.append(cell.columns)
                }
            }
        }
        return rows.map { row in
            let cells = zip(row, widths).map { cell, width in
                cell + String(repeating: " ", count: max(0, width - cell.columns))
            }
            let line = cells.joined(separator: "  ")
            return String(line.reversed().drop { $0 == " " }.reversed()) + "\n"
        }.joined()
    }
}

extension String {
    /// How many columns of a terminal it fills: two for each character of East Asia and for an emoji (Unicode TR #11).
    var columns: Int { reduce(0) { $0 + ($1.unicodeScalars.first?.isWide == true ? 2 : 1) } }
}

extension Unicode.Scalar {
    fileprivate var isWide: Bool {
        switch value {
        case 0..<0x1100: false
        case 0x1100...0x115F, 0x2E80...0x303E, 0x3041...0xA4CF, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE30...0xFE6F,
            0xFF00...0xFF60, 0xFFE0...0xFFE6, 0x20000...0x3FFFD:
            true
        default: properties.isEmojiPresentation
        }
    }
}
