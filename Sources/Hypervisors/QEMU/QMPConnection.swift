internal import Devices
internal import FoundationEssentials
internal import Platform

/// A QMP conversation with one QEMU: commands by number, replies matched by it, events kept.
///
/// It is used by one thread at a time. After a failure of the connection itself every later call fails with the
/// same reason; after a reply that did not come in time the conversation goes on, and a late reply is dropped.
final class QMPConnection {
    /// QEMU stops reading when 8 commands wait for their turn (QMP_REQ_QUEUE_LEN_MAX in monitor/qmp.c).
    static let unansweredLimit = 8
    /// The longest line that is taken, in bytes.
    static let lineLimit = 2 << 20
    /// How many events are kept for who asks later; the oldest go first.
    static let keptEvents = 256

    private let channel: any QMPChannel
    /// Whether the conversation is ours from its beginning. If it is another's who lets us ask in between, the numbers are his,
    /// each answer is the next that comes, and no events reach us.
    let isOurs: Bool
    private let timeout: Duration
    /// Made when something is sent or comes that is not plain.
    private lazy var encoder = QMPRequest.encoder
    private lazy var decoder = JSONDecoder()
    private var buffer = LineBuffer()
    private var nextID: Int64 = 1
    private var events: [QMPEvent] = []
    private var failure: QMPError?

    /// Takes over a connected socket and waits for QEMU's greeting; `timeout` is for each later call.
    init(greetedBy socket: UnixSocket, until deadline: Deadline, timeout: Duration) throws(QMPError) {
        channel = QMPStream(socket: socket)
        isOurs = true
        self.timeout = timeout
        guard let message = try receive(QMP.Nothing.self, until: deadline) else {
            throw .transport("it accepts the connection but sends no greeting")
        }
        guard case .greeting = message else {
            throw .undecodable("something other than a greeting", raw: buffer.last)
        }
    }

    /// Asks in the conversation of somebody else; `timeout` is for each call.
    init(asGuestOn channel: any QMPChannel, timeout: Duration) {
        self.channel = channel
        isOurs = false
        self.timeout = timeout
    }

    /// The process at the other end, if that is known.
    var peer: ProcessHandle? { channel.peer }

    /// Sends one command and waits for its result.
    @discardableResult
    func call<Reply: Decodable>(_ command: QMPCommand<Reply>) throws(QMPError) -> Reply {
        try results(of: command).get()
    }

    /// Sends commands without waiting for each reply, and answers with their results.
    ///
    /// A command that passes a descriptor goes alone: QEMU drops a descriptor that it has not used when the next comes.
    ///
    /// `limit` takes the place of the timeout for this call.
    func results<each Reply: Decodable>(
        of commands: repeat QMPCommand<each Reply>, within limit: Duration? = nil
    ) throws(QMPError) -> (repeat Result<each Reply, QMPError>) {
        var requests: [QMPRequest] = []
        for command in repeat each commands { requests.append(command.request) }
        var batch = try begin(requests, within: limit)
        return (repeat try next((each Reply).self, of: &batch))
    }

    /// Sends groups of commands in the same way, those of the first group first, and answers with the results of each
    /// group in their order.
    func results<each Reply: Decodable>(
        of groups: repeat [QMPCommand<each Reply>]
    ) throws(QMPError) -> (repeat [Result<each Reply, QMPError>]) {
        var requests: [QMPRequest] = []
        for group in repeat each groups { requests += QMPRequest.all(group) }
        var batch = try begin(requests, within: nil)
        return (repeat try next((each groups).count, of: &batch))
    }

    /// Sends groups of commands whose results are taken later, so that QEMU works while we do something else: no more than
    /// it takes at once, and without descriptors.
    func sendAhead<each Reply>(_ groups: repeat [QMPCommand<each Reply>]) throws(QMPError) -> Batch? {
        var requests: [QMPRequest] = []
        for group in repeat each groups { requests += QMPRequest.all(group) }
        var batch = try begin(requests, within: nil)
        guard batch.sendable.count == requests.count else { return nil }
        try send(batch.sendable, firstID: batch.firstID, until: batch.deadline)
        batch.sent = requests.count
        return batch
    }

    /// The results of commands that were sent ahead in the same groups; nil when another command has gone out since: then they
    /// are forgotten.
    func results<each Reply: Decodable>(
        of batch: Batch, in groups: repeat [QMPCommand<each Reply>]
    ) throws(QMPError) -> (repeat [Result<each Reply, QMPError>])? {
        if let failure { throw failure }
        guard batch.firstID + Int64(batch.requests.count) == nextID else { return nil }
        var batch = batch
        batch.deadline = Deadline(after: timeout)
        return (repeat try next((each groups).count, of: &batch))
    }

    /// Waits for an event that was not taken yet; nil when the deadline came first.
    func event(until deadline: Deadline, where wanted: (QMPEvent) -> Bool) throws(QMPError) -> QMPEvent? {
        var index = 0
        while true {
            while index < events.count {
                if events[safe: index].map(wanted) == true { return events.remove(at: index) }
                index += 1
            }
            guard let message = try receive(QMP.Nothing.self, until: deadline) else { return nil }
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
            while try receive(QMP.Nothing.self, until: deadline) != nil, !deadline.hasPassed {}
            return false
        } catch {
            return true
        }
    }

    /// Commands on their way, and how far they are.
    struct Batch {
        fileprivate let requests: [QMPRequest]
        fileprivate let firstID: Int64
        fileprivate let timeout: Duration
        fileprivate var deadline: Deadline
        fileprivate var sent = 0
        fileprivate var answered = 0

        /// What may go out now.
        fileprivate var sendable: ArraySlice<QMPRequest> {
            let rest = requests.dropFirst(sent)
            let unanswered = sent - answered
            guard let first = rest.first else { return [] }
            if first.passing != nil { return unanswered == 0 ? rest.prefix(1) : [] }
            return rest.prefix(QMPConnection.unansweredLimit - unanswered).prefix { $0.passing == nil }
        }
    }

    private func begin(_ requests: [QMPRequest], within limit: Duration?) throws(QMPError) -> Batch {
        if let failure { throw failure }
        let timeout = limit ?? self.timeout
        defer { nextID += Int64(requests.count) }
        return Batch(requests: requests, firstID: nextID, timeout: timeout, deadline: Deadline(after: timeout))
    }

    /// The result of the next command of the batch; sends what may be sent.
    private func next<Reply: Decodable>(
        _ type: Reply.Type, of batch: inout Batch
    ) throws(QMPError) -> Result<Reply, QMPError> {
        let sendable = batch.sendable
        if !sendable.isEmpty {
            try send(sendable, firstID: batch.firstID + Int64(batch.sent), until: batch.deadline)
            batch.sent += sendable.count
        }
        guard let reply = try reply(type, to: batch.firstID + Int64(batch.answered), until: batch.deadline) else {
            let name = batch.requests[safe: batch.answered]?.name ?? ""
            throw .transport("no answer to '\(name)' within \(batch.timeout.inSeconds)")
        }
        batch.answered += 1
        return reply
    }

    private func next<Reply: Decodable>(
        _ count: Int, of batch: inout Batch
    ) throws(QMPError) -> [Result<Reply, QMPError>] {
        var results: [Result<Reply, QMPError>] = []
        results.reserveCapacity(count)
        for _ in 0..<count { results.append(try next(Reply.self, of: &batch)) }
        return results
    }

    private func send(
        _ requests: ArraySlice<QMPRequest>, firstID: Int64, until deadline: Deadline
    ) throws(QMPError) {
        var bytes: [UInt8] = []
        for (offset, request) in requests.enumerated() {
            bytes += try request.line(id: isOurs ? firstID + Int64(offset) : nil, by: encoder)
        }
        let done: Bool
        do { done = try channel.send(bytes, passing: requests.first?.passing, until: deadline) } catch {
            // Then nothing has gone out.
            if case .incapable = error { throw error }
            throw broken(error)
        }
        // Part of a command may have gone out: nothing sensible can follow it.
        guard done else { throw broken(.transport("it takes no commands within \(timeout.inSeconds)")) }
    }

    private func reply<Reply: Decodable>(
        _ type: Reply.Type, to id: Int64, until deadline: Deadline
    ) throws(QMPError) -> Result<Reply, QMPError>? {
        while let message = try receive(type, until: deadline) {
            switch message {
            case .event(let event): keep(event)
            case .reply(_, let result) where !isOurs: return result
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
    private func receive<Reply: Decodable>(
        _ type: Reply.Type, until deadline: Deadline
    ) throws(QMPError) -> QMPMessage<Reply>? {
        if let failure { throw failure }
        while true {
            if let line = buffer.next() {
                if line.isEmpty { continue }
                do { return try QMPMessage(line: line, by: decoder) } catch { throw broken(error) }
            }
            guard buffer.count <= QMPConnection.lineLimit else {
                throw broken(.undecodable("more than 2 MiB without the end of a line", raw: buffer.start))
            }
            let bytes: [UInt8]?
            do { bytes = try channel.read(upTo: 65_536, until: deadline) } catch { throw broken(error) }
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

extension Duration {
    /// "10 s", "0.25 s".
    var inSeconds: String {
        let milliseconds = components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000
        guard milliseconds % 1000 != 0 else { return "\(milliseconds / 1000) s" }
        return "\(Double(milliseconds) / 1000) s"
    }
}
