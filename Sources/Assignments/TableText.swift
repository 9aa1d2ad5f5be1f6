internal import Devices

/// The whole text of the table, for an edit: what is not edited stays byte for byte.
struct TableText {
    /// A row that is right, and where it stands.
    struct Located {
        let assignment: Assignment
        /// The line with its end.
        let whole: Range<Int>
        /// From the mode to the end of the content.
        let modeAndOptions: Range<Int>
    }

    /// What becomes of the text, and what to answer; nil bytes leave it as it is.
    struct Edit<Outcome> {
        let outcome: Outcome
        let bytes: [UInt8]?
    }

    private let bytes: [UInt8]

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// Stores an assignment: in the line of the one with the same target and device, or in a line at the end. Further
    /// lines of that target and device go.
    func adding(_ assignment: Assignment) -> Edit<AddOutcome> {
        let same = rows(of: assignment.target).filter { $0.assignment.isSameWish(as: assignment) }
        guard let first = same.first else { return Edit(outcome: .added, bytes: appending(assignment)) }
        var pieces: [Piece] = same.dropFirst().map { Piece(range: $0.whole, bytes: []) }
        let isSo = first.assignment.hasSameTerms(as: assignment)
        if !isSo {
            pieces.insert(
                Piece(range: first.modeAndOptions, bytes: RowFormat.modeAndOptions(of: assignment)), at: 0)
        }
        return Edit(
            outcome: isSo ? .alreadySo : .changed(from: first.assignment),
            bytes: pieces.isEmpty ? nil : replacing(pieces))
    }

    /// Removes the lines of the assignments that `isUnwanted` chooses, of one VM or of all; of several lines with one
    /// reference the first is answered.
    func removing(from vm: VMName? = nil, where isUnwanted: (Assignment) -> Bool) -> Edit<[Assignment]> {
        let unwanted = rows(of: vm).filter { isUnwanted($0.assignment) }
        var removed: [Assignment] = []
        var wishes: Set<Wish> = []
        for row in unwanted where wishes.insert(Wish(row.assignment)).inserted { removed.append(row.assignment) }
        return Edit(
            outcome: removed,
            bytes: unwanted.isEmpty ? nil : replacing(unwanted.map { Piece(range: $0.whole, bytes: []) }))
    }

    private struct Piece {
        let range: Range<Int>
        let bytes: [UInt8]
    }

    /// The rows of one VM, or of all, that can be read.
    private func rows(of vm: VMName?) -> [Located] {
        let matcher = vm.map { RowMatcher($0) }
        var splitter = LineSplitter()
        var rows: [Located] = []
        let span = bytes.span
        while let line = splitter.next(in: span, isLast: true) {
            let content = span.extracting(line.content)
            guard !line.isTooLong, let start = RowMatcher.rowStart(of: content, isWhole: true),
                matcher?.concerns(content, from: start) ?? true,
                let row = try? RowFormat.parse(bytes[line.content]), vm == nil || row.assignment.target == vm
            else { continue }
            rows.append(
                Located(
                    assignment: row.assignment, whole: line.whole,
                    modeAndOptions: row.modeStart..<line.content.upperBound))
        }
        return rows
    }

    /// The text with other bytes in these ranges, which are in order.
    private func replacing(_ pieces: [Piece]) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(bytes.count)
        var done = 0
        for piece in pieces {
            result += bytes[done..<piece.range.lowerBound]
            result += piece.bytes
            done = piece.range.upperBound
        }
        return result + bytes[done...]
    }

    /// The text with a line more, which ends as the lines before it do.
    private func appending(_ assignment: Assignment) -> [UInt8] {
        let lineFeed = UInt8(ascii: "\n")
        let carriageReturn = UInt8(ascii: "\r")
        let lastEnd = bytes.lastIndex(of: lineFeed)
        let hasReturns = lastEnd.map { $0 > 0 && bytes[$0 - 1] == carriageReturn } ?? false
        let end = hasReturns ? [carriageReturn, lineFeed] : [lineFeed]
        var result = bytes
        // A return at the very end is the first half of the end of its line.
        if let last = bytes.last, last != lineFeed { result += last == carriageReturn ? [lineFeed] : end }
        return result + RowFormat.line(of: assignment) + end
    }
}

/// What makes two rows the same wish.
struct Wish: Hashable {
    let target: VMName
    let device: DeviceReference

    init(_ assignment: Assignment) {
        target = assignment.target
        device = assignment.device
    }
}

extension Assignment {
    /// Whether mode and options are the same, in whatever order the options stand.
    fileprivate func hasSameTerms(as other: Assignment) -> Bool {
        mode == other.mode && Set(options.entries) == Set(other.options.entries)
    }
}
