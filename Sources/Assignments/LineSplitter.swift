internal import Glibc

/// Finds the lines of a table in a buffer that is filled piece by piece, so that it need not be in memory as a whole.
struct LineSplitter {
    /// One line.
    struct Line: Equatable {
        /// Where its content is in the buffer, without its end; of a line that is too long only the beginning.
        let content: Range<Int>
        /// Where the line with its end is in the buffer.
        let whole: Range<Int>
        /// From 1.
        let number: Int
        /// Whether it has more than `maximumLength` bytes.
        let isTooLong: Bool
    }

    /// The longest line that is looked at, in bytes without its end.
    static let maximumLength = 65_536

    /// How far the buffer is done with.
    private(set) var position = 0
    private var number = 0
    private var isSkipping = false

    /// The next line of `buffer`; nil when it holds no whole line any more and more is to come, or (with `isLast`, when
    /// nothing more is to come) when it is at its end.
    mutating func next(in buffer: Span<UInt8>, isLast: Bool) -> Line? {
        if isSkipping {
            guard let end = newline(in: buffer, from: position) else {
                position = buffer.count
                return nil
            }
            position = end + 1
            isSkipping = false
        }
        let start = position
        let end = newline(in: buffer, from: start)
        let contentEnd = end ?? buffer.count
        // Waiting for the bytes that do not count (the mark below and a CR) tells surely whether it is too long.
        guard end != nil || (isLast && contentEnd > start) || contentEnd - start > LineSplitter.maximumLength + 4
        else {
            return nil
        }
        position = end.map { $0 + 1 } ?? contentEnd
        isSkipping = end == nil && !isLast
        number += 1
        // The mark that Windows puts at the beginning of a text is no part of it.
        let isMarked =
            number == 1 && contentEnd - start >= 3
            && buffer[start] == 0xef && buffer[start + 1] == 0xbb && buffer[start + 2] == 0xbf
        let contentStart = isMarked ? start + 3 : start
        let hasReturn = contentEnd > contentStart && buffer[contentEnd - 1] == UInt8(ascii: "\r")
        let length = contentEnd - contentStart - (hasReturn ? 1 : 0)
        return Line(
            content: contentStart..<contentStart + min(length, LineSplitter.maximumLength), whole: start..<position,
            number: number, isTooLong: length > LineSplitter.maximumLength)
    }

    /// Starts at the beginning of the buffer again, where the caller has put what was not done with.
    mutating func rewind() { position = 0 }

    private func newline(in buffer: Span<UInt8>, from start: Int) -> Int? {
        let rest = buffer.extracting(min(start, buffer.count)...)
        return unsafe rest.withUnsafeBytes { bytes -> Int? in
            guard let base = bytes.baseAddress, let found = unsafe memchr(base, 0x0a, bytes.count) else {
                return nil
            }
            return unsafe start + (UnsafeRawPointer(found) - base)
        }
    }
}
