/// Bytes as they come, cut into lines.
struct LineBuffer {
    private var bytes: [UInt8] = []
    private var begin = 0
    private var searched = 0
    /// The line that was taken last, or its beginning.
    private(set) var last: [UInt8] = []

    /// How many bytes wait for the end of their line.
    var count: Int { bytes.count - begin }

    /// The beginning of an unfinished line, bounded.
    var start: [UInt8] { Array(bytes.dropFirst(begin).prefix(QMPError.keptBytes)) }

    mutating func append(_ more: [UInt8]) {
        if begin > 0 {
            bytes = Array(bytes.dropFirst(begin))
            searched -= begin
            begin = 0
        }
        bytes += more
    }

    /// The next whole line without its end; nil when more bytes are needed.
    mutating func next() -> [UInt8]? {
        guard let end = bytes.dropFirst(searched).firstIndex(of: UInt8(ascii: "\n")) else {
            searched = bytes.count
            return nil
        }
        var line = bytes.prefix(end).dropFirst(begin)
        if line.last == UInt8(ascii: "\r") { line = line.dropLast() }
        begin = end + 1
        searched = begin
        last = Array(line.prefix(QMPError.keptBytes))
        return Array(line)
    }
}
