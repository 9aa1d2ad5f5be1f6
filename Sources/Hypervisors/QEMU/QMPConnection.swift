internal import Devices
internal import Platform

/// A QMP conversation with one QEMU over its socket: commands by number, replies matched by it, events kept.
///
/// It is used by one thread at a time. After a failure of the connection itself every later call fails with the
/// same reason; after a reply that did not come in time the conversation goes on, and a late reply is dropped.
final class QMPConnection {
    /// QEMU stops reading when 8 commands wait for their turn (QMP_REQ_QUEUE_LEN_MAX in monitor/qmp.c).
    static let unansweredLimit = 8
    /// The longest line that is taken, in bytes.
    static let lineLimit = 16 << 20
    /// How many events are kept for who asks later; the oldest go first.
    static let keptEvents = 256

    private let socket: UnixSocket
    private let timeout: Duration
    private var buffer = LineBuffer()
    private var nextID: Int64 = 1
    private var events: [QMPEvent] = []
    private var failure: QMPError?

    /// Takes over a connected socket and waits for QEMU's greeting; `timeout` is for each later call.
    init(greetedBy socket: UnixSocket, until deadline: Deadline, timeout: Duration) throws(QMPError) {
        self.socket = socket
        self.timeout = timeout
        guard let message = try receive(until: deadline) else {
            throw .transport("it accepts the connection but sends no greeting")
        }
        guard case .greeting = message else {
            throw .undecodable("something other than a greeting", raw: buffer.last)
        }
    }

    /// The process at the other end, if the kernel tells.
    var peer: ProcessHandle? { socket.peer() }

    /// Sends one command and waits for its result.
    @discardableResult
    func call(_ command: QMPCommand) throws(QMPError) -> JSONValue {
        guard let result = try call([command]).first else { throw .transport("no reply") }
        return try result.get()
    }

    /// Sends commands without waiting for each reply, and answers with their results in the same order.
    ///
    /// A command that passes a descriptor goes alone: QEMU drops a descriptor that it has not used when the next comes.
    ///
    /// `limit` takes the place of the timeout for this call.
    func call(
        _ commands: [QMPCommand], within limit: Duration? = nil
    ) throws(QMPError) -> [Result<JSONValue, QMPError>] {
        if let failure { throw failure }
        let timeout = limit ?? self.timeout
        let deadline = Deadline(after: timeout)
        let base = nextID
        nextID += Int64(commands.count)
        var results: [Result<JSONValue, QMPError>] = []
        var sent = 0
        while results.count < commands.count {
            let window = sendable(commands.dropFirst(sent), unanswered: sent - results.count)
            if !window.isEmpty {
                try send(window, firstID: base + Int64(sent), until: deadline)
                sent += window.count
            }
            guard let reply = try reply(to: base + Int64(results.count), until: deadline) else {
                let name = commands[safe: results.count]?.name ?? ""
                throw .transport("no answer to '\(name)' within \(timeout.inSeconds)")
            }
            results.append(reply)
        }
        return results
    }

    /// Waits for an event that was not taken yet; nil when the deadline came first.
    func event(until deadline: Deadline, where wanted: (QMPEvent) -> Bool) throws(QMPError) -> QMPEvent? {
        var index = 0
        while true {
            while index < events.count {
                if events[safe: index].map(wanted) == true { return events.remove(at: index) }
                index += 1
            }
            guard let message = try receive(until: deadline) else { return nil }
            if case .event(let event) = message {
                keep(event)
                index = max(0, events.count - 1)
            }
            if deadline.hasPassed, events[safe: index].map(wanted) != true { return nil }
        }
    }

    /// Drops events that were kept and that nobody will ask for.
    func forgetEvents(where unwanted: (QMPEvent) -> Bool) { events.removeAll(where: unwanted) }

    /// Reads until QEMU closes the connection; answers false when the deadline came first.
    func waitForEnd(until deadline: Deadline) -> Bool {
        do {
            while try receive(until: deadline) != nil, !deadline.hasPassed {}
            return false
        } catch {
            return true
        }
    }

    private func sendable(_ rest: ArraySlice<QMPCommand>, unanswered: Int) -> ArraySlice<QMPCommand> {
        guard let first = rest.first else { return [] }
        if first.passing != nil { return unanswered == 0 ? rest.prefix(1) : [] }
        return rest.prefix(QMPConnection.unansweredLimit - unanswered).prefix { $0.passing == nil }
    }

    private func send(
        _ commands: ArraySlice<QMPCommand>, firstID: Int64, until deadline: Deadline
    ) throws(QMPError) {
        var bytes: [UInt8] = []
        for (offset, command) in commands.enumerated() { bytes += command.line(id: firstID + Int64(offset)) }
        let done: Bool
        do {
            done = try socket.send(bytes, passing: commands.first?.passing, until: deadline)
        } catch {
            throw broken(.transport("the connection was lost (\(error.reason))"))
        }
        // Part of a command may have gone out: nothing sensible can follow it.
        guard done else { throw broken(.transport("it takes no commands within \(timeout.inSeconds)")) }
    }

    private func reply(to id: Int64, until deadline: Deadline) throws(QMPError) -> Result<JSONValue, QMPError>? {
        while let message = try receive(until: deadline) {
            switch message {
            case .event(let event): keep(event)
            case .reply(id, let result): return result
            case .reply(let other?, _) where other > 0 && other < id: continue
            case .reply, .greeting:
                throw broken(.undecodable("a reply that nobody asked for", raw: buffer.last))
            }
            // Who sends something else all the time does not answer either.
            if deadline.hasPassed { return nil }
        }
        return nil
    }

    /// The next line, decoded; nil when the deadline came first.
    private func receive(until deadline: Deadline) throws(QMPError) -> QMPMessage? {
        if let failure { throw failure }
        while true {
            if let line = buffer.next() {
                if line.isEmpty { continue }
                do { return try QMPMessage(line: line) } catch { throw broken(error) }
            }
            guard buffer.count <= QMPConnection.lineLimit else {
                throw broken(.undecodable("more than 16 MiB without the end of a line", raw: buffer.start))
            }
            let bytes: [UInt8]?
            do {
                bytes = try socket.read(upTo: 65_536, until: deadline)
            } catch {
                throw broken(.transport("the connection was lost (\(error.reason))"))
            }
            guard let bytes else { return nil }
            if bytes.isEmpty {
                let rest = buffer.start
                throw broken(
                    rest.isEmpty
                        ? .transport("it closed the connection")
                        : .undecodable("half a message, then it closed the connection", raw: rest))
            }
            buffer.append(bytes)
        }
    }

    private func keep(_ event: QMPEvent) {
        if events.count == QMPConnection.keptEvents { events.removeFirst() }
        events.append(event)
    }

    private func broken(_ error: QMPError) -> QMPError {
        failure = error
        return error
    }
}

/// Bytes as they come, cut into lines.
private struct LineBuffer {
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

extension Duration {
    /// "10 s", "0.25 s".
    var inSeconds: String {
        let milliseconds = components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000
        guard milliseconds % 1000 != 0 else { return "\(milliseconds / 1000) s" }
        return "\(Double(milliseconds) / 1000) s"
    }
}
