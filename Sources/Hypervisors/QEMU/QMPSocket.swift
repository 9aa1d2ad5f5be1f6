internal import Glibc
internal import Platform

/// The place in the file system where a QEMU serves QMP.
struct QMPSocket {
    /// Its path, root included.
    let path: String

    /// Connects to a server that is there now.
    func connect(until deadline: Deadline) throws(SystemCallError) -> UnixSocket {
        try UnixSocket.connect(to: path, until: deadline)
    }

    /// A connection, and what was watched until it could be made: to end a watch the kernel waits for all processors (some
    /// 10 ms), so whoever is in a hurry keeps it.
    typealias Awaited = (socket: UnixSocket, watch: FolderWatch?)

    /// Connects as soon as somebody serves there; nil when nobody did until the deadline.
    func connectWhenServed(until deadline: Deadline) throws(SystemCallError) -> Awaited? {
        var pause = 1
        var watch: FolderWatch?
        while true {
            do {
                return (try connect(until: deadline), watch)
            } catch {
                guard !deadline.hasPassed else { return nil }
                guard error.isMissing || error.code == ECONNREFUSED else { throw error }
                if let watch, error.isMissing {
                    guard try watch.next(until: deadline) else { return nil }
                } else if let watch {
                    // Either left over by an earlier QEMU, then a new one replaces it and the watch tells; or just
                    // made by bind(2), and the kernel tells nobody of the listen(2) that follows at once.
                    _ = try watch.next(until: Deadline(after: .milliseconds(pause)))
                    pause = min(pause * 2, 100)
                }
            }
            // The watch comes before the next try, so that what happens in between is not lost.
            watch = try nearestFolder()
        }
    }

    /// Whether somebody serves there. It connects and says nothing: QEMU takes one client and leaves the next waiting,
    /// so a conversation that goes on is not disturbed.
    func isServed() throws(SystemCallError) -> Bool {
        do {
            _ = try connect(until: Deadline(after: .milliseconds(200)))
            return true
        } catch {
            // A full queue has somebody at its end.
            if error.code == EAGAIN { return true }
            if error.isMissing || error.code == ECONNREFUSED || error.code == ENOTSOCK { return false }
            throw error
        }
    }

    /// Watches the folder that the socket appears in, or while that is missing the nearest one above it.
    private func nearestFolder() throws(SystemCallError) -> FolderWatch {
        var folder = path[...]
        var missing: Substring?
        while let slash = folder.lastIndex(of: "/") {
            folder = folder[..<slash]
            do {
                let watch = try FolderWatch(folder.isEmpty ? "/" : String(folder))
                // What was missing may have come just before the watch: then it is the one to watch.
                guard let missing, (try? Descriptor.open(String(missing), .path)) != nil else { return watch }
                return try nearestFolder()
            } catch {
                guard error.isMissing, !folder.isEmpty else { throw error }
                missing = folder
            }
        }
        throw SystemCallError("watch", path, code: ENOENT)
    }
}
