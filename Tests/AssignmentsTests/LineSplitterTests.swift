import Testing

@testable import Assignments

@Suite struct LineSplitterTests {
    private struct Found: Equatable {
        let length: Int
        let number: Int
        let isTooLong: Bool
    }

    /// The lines of `bytes` when the first `cut` of them come first and then the others.
    private func lines(of bytes: [UInt8], cutAt cut: Int) -> [Found] {
        var splitter = LineSplitter()
        var buffer = Array(bytes.prefix(cut))
        var found: [Found] = []
        for isLast in [false, true] {
            while let line = splitter.next(in: buffer.span, isLast: isLast) {
                found.append(Found(length: line.content.count, number: line.number, isTooLong: line.isTooLong))
            }
            buffer = Array(buffer[splitter.position...]) + bytes.dropFirst(cut)
            splitter.rewind()
        }
        return found
    }

    @Test(
        "A line is the same wherever the piece in which it comes is cut, and only a long one is too long",
        arguments: [[], [0xef, 0xbb, 0xbf]] as [[UInt8]], [[0x0a], [0x0d, 0x0a], []] as [[UInt8]])
    func cuts(_ mark: [UInt8], _ end: [UInt8]) {
        let limit = LineSplitter.maximumLength
        for length in (limit - 1)...(limit + 2) {
            let bytes = mark + [UInt8](repeating: 0x78, count: length) + end + (end.isEmpty ? [] : [0x79])
            let isTooLong = length > limit
            let first = Found(length: min(length, limit), number: 1, isTooLong: isTooLong)
            let expected = end.isEmpty ? [first] : [first, Found(length: 1, number: 2, isTooLong: false)]
            for cut in [0, 1, 3, 100] + Array((limit - 3)...bytes.count) {
                #expect(lines(of: bytes, cutAt: cut) == expected, "\(length) bytes cut at \(cut)")
            }
        }
    }

    @Test("Lines are counted through long ones, empty ones and a last one without an end")
    func numbers() {
        let long = [UInt8](repeating: 0x78, count: 300_000)
        let bytes = [0x0a] + long + [0x0a, 0x0a, 0x79, 0x0a, 0x7a]
        for cut in [0, 1, 2, 70_000, 200_000, 300_001, 300_002, 300_003, bytes.count] {
            let found = lines(of: bytes, cutAt: cut)
            #expect(found.map(\.number) == [1, 2, 3, 4, 5])
            #expect(found.map(\.isTooLong) == [false, true, false, false, false])
            #expect(found.map(\.length) == [0, LineSplitter.maximumLength, 0, 1, 1])
        }
    }
}
