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
        let columns = rows.map { $0.map(\.columns) }
        var widths: [Int] = []
        for counts in columns {
            for (column, count) in counts.enumerated() {
                if column < widths.count {
                    widths[column] = max(widths[column], count)
                } else {
                    widths.append(count)
                }
            }
        }
        // As bytes: a list may have ten thousand lines, and where a character ends is costly to find out.
        let blank = UInt8(ascii: " ")
        var text: [UInt8] = []
        for (row, counts) in zip(rows, columns) {
            let start = text.count
            for ((cell, count), width) in zip(zip(row, counts), widths) {
                text += cell.utf8
                text += repeatElement(blank, count: width - count + 2)
            }
            let end = text[start...].lastIndex { $0 != blank }.map { $0 + 1 } ?? start
            text.removeLast(text.count - end)
            text.append(UInt8(ascii: "\n"))
        }
        return String(decoding: text, as: UTF8.self)
    }
}

extension String {
    /// How many columns of a terminal it fills: two for each character of East Asia and for an emoji (Unicode TR #11).
    var columns: Int {
        if utf8.allSatisfy({ $0 < 0x80 }) { return utf8.count }
        return reduce(0) { $0 + ($1.unicodeScalars.first?.isWide == true ? 2 : 1) }
    }
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
