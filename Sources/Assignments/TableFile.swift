internal import Devices
internal import Platform

/// The table as an open file.
struct TableFile {
    /// The largest table, in bytes.
    static let maximumSize: Int64 = 256 << 20

    let path: String
    let status: FileStatus
    private let descriptor: Descriptor

    /// Opens the table at `path`; nil when there is none, which is an empty one. A link that leads nowhere is an error:
    /// what it points to may be on a file system that is not mounted.
    static func open(_ path: String) throws(TableError) -> TableFile? {
        do {
            // Without waiting, because a FIFO in its place would hold up the boot.
            let descriptor = try Descriptor.open(path, .nonBlocking)
            return try TableFile(path: path, status: descriptor.status(), descriptor: descriptor).checked()
        } catch let error as SystemCallError {
            guard error.isNotThere else { throw .unreadable(path, error) }
            try requireNoBrokenLink(path)
            return nil
        } catch let error as TableError {
            throw error
        } catch {
            throw TableError(.unreadable, path, "cannot be read (\(error))", remedy: "check the file")
        }
    }

    /// Gives `take` each line with the buffer that it is in, in order, without holding more than one piece of the file.
    func forEachLine(_ take: (LineSplitter.Line, Span<UInt8>) -> Void) throws(TableError) {
        var buffer = [UInt8](repeating: 0, count: 2 * (LineSplitter.maximumLength + 8))
        var filled = 0
        var splitter = LineSplitter()
        var total: Int64 = 0
        var isAtEnd = false
        while !isAtEnd {
            let count = try reading { () throws(SystemCallError) in try descriptor.read(into: &buffer, from: filled)
            }
            isAtEnd = count == 0
            filled += count
            total += Int64(count)
            guard total <= TableFile.maximumSize else { throw tooLarge }
            while let line = splitter.next(in: buffer.span.extracting(first: filled), isLast: isAtEnd) {
                take(line, buffer.span)
            }
            // What is left is less than the longest line, so that there is always room for more. Moved byte by byte,
            // because a slice would be a second owner, and make the array copy itself.
            let done = splitter.position
            for index in done..<filled { buffer[index - done] = buffer[index] }
            filled -= done
            splitter.rewind()
        }
    }

    /// The whole content.
    func contents() throws(TableError) -> [UInt8] {
        try reading { () throws(SystemCallError) in try descriptor.readAll(limit: Int(TableFile.maximumSize)) }
    }

    /// Whether nobody has written the file since it was opened.
    func isUnwritten() throws(TableError) -> Bool {
        let now = try reading { () throws(SystemCallError) in try descriptor.status() }
        return now.size == status.size && now.modified == status.modified
    }

    private func checked() throws(TableError) -> TableFile {
        guard status.kind == .regular else {
            throw TableError(
                .malformed, path, "is \(status.kind == .directory ? "a folder" : "not a plain file")",
                remedy: "put the table there, a text file")
        }
        guard status.size <= TableFile.maximumSize else { throw tooLarge }
        return self
    }

    private var tooLarge: TableError {
        TableError(
            .malformed, path, "is larger than \(TableFile.maximumSize >> 20) MiB",
            remedy: "check what was written there, and restore the table")
    }

    private func reading<Value>(_ read: () throws(SystemCallError) -> Value) throws(TableError) -> Value {
        do {
            return try read()
        } catch {
            throw error.isTooLarge ? tooLarge : .unreadable(path, error)
        }
    }
}

private func requireNoBrokenLink(_ path: String) throws(TableError) {
    let folder = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "/"
    for place in [folder, path] {
        do {
            guard try FileStatus.ofEntry(place)?.kind == .link else { continue }
            _ = try resolved(place)
        } catch {
            guard error.isNotThere else { throw .unreadable(place, error) }
            throw TableError(
                .unreadable, place, "is a link to something that is not there",
                remedy: "mount what it points to, or mend the link")
        }
    }
}
