internal import Devices

/// Gathers the rows of one VM, or of all, and what is wrong with them.
struct RowCollector {
    private(set) var reading = TableReading()
    private let file: String
    private let matcher: RowMatcher?
    private var lines: [Wish: Int] = [:]

    init(file: String, matcher: RowMatcher?) {
        self.file = file
        self.matcher = matcher
        // Of a table that is read as a whole, most has more than a few.
        if matcher == nil { lines.reserveCapacity(1024) }
    }

    /// Takes a line, which is at `line.content` of `buffer`.
    mutating func take(_ line: LineSplitter.Line, in buffer: Span<UInt8>) {
        let content = buffer.extracting(line.content)
        guard let start = RowMatcher.rowStart(of: content, isWhole: !line.isTooLong),
            matcher?.concerns(content, from: start) ?? true
        else { return }
        do throws(RowFault) {
            reading.rows.append(TableRow(try row(content, line), line: line.number))
        } catch {
            let target = RowMatcher.name(in: content, from: start)
            reading.problems.append(TableProblem(file: file, line: line.number, target: target, error))
        }
    }

    private mutating func row(_ content: Span<UInt8>, _ line: LineSplitter.Line) throws(RowFault) -> Assignment {
        guard !line.isTooLong else {
            throw RowFault(
                "the row is longer than \(LineSplitter.maximumLength) bytes: expected a short line of text")
        }
        let bytes = unsafe content.withUnsafeBufferPointer { unsafe Array($0) }
        let assignment = try RowFormat.parse(bytes[...]).assignment
        let wish = Wish(assignment)
        if let earlier = lines[wish] {
            throw RowFault(
                .device,
                "\(assignment.target) has '\(assignment.device)' in line \(earlier) already: remove one of the lines"
            )
        }
        lines[wish] = line.number
        return assignment
    }
}
