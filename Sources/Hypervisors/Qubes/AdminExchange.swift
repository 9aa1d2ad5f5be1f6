internal import Devices
internal import Platform

/// One call on its way: what has come of its answer so far. The end of the stream is the end of the answer.
struct AdminExchange {
    private enum State {
        case open(Descriptor, [UInt8])
        case done(Result<[UInt8], QubesError>)
    }

    let call: AdminCall
    private var state: State

    /// A call that was sent, whose answer comes from there.
    init(_ call: AdminCall, awaiting descriptor: Descriptor) {
        self.call = call
        state = .open(descriptor, [])
    }

    /// A call that could not be sent.
    init(_ call: AdminCall, failed error: QubesError) {
        self.call = call
        state = .done(.failure(error))
    }

    /// Waits for all answers at a time, and tells them in the order of their calls.
    static func finish(
        _ exchanges: [AdminExchange], until deadline: Deadline
    ) -> [Result<[UInt8], QubesError>] {
        var exchanges = exchanges
        while true {
            let open = exchanges.indices.compactMap { index in exchanges[index].descriptor.map { (index, $0) } }
            if open.isEmpty { break }
            do {
                let ready = try readable(among: open.map { $0.1.raw }, until: deadline)
                // What is late is late for all that are still open.
                if ready.isEmpty { for (index, _) in open { exchanges[index].giveUp() } }
                for place in ready { exchanges[open[place].0].read() }
            } catch {
                for (index, _) in open { exchanges[index].fail(QubesError(.unreachable, "qubesd: \(error)")) }
            }
        }
        return exchanges.map(\.result)
    }

    private var descriptor: Descriptor? { if case .open(let descriptor, _) = state { descriptor } else { nil } }

    private var result: Result<[UInt8], QubesError> {
        if case .done(let result) = state { result } else { .failure(.late(call)) }
    }

    private mutating func giveUp() {
        if case .open(_, let bytes) = state { fail(.late(call, isBegun: !bytes.isEmpty)) }
    }

    private mutating func fail(_ error: QubesError) { state = .done(.failure(error)) }

    private mutating func read() {
        guard case .open(let descriptor, let bytes) = state else { return }
        do {
            let chunk = try descriptor.read(upTo: 65_536)
            if chunk.isEmpty {
                state = .done(call.outcome(of: bytes))
            } else if bytes.count + chunk.count > AdminAnswer.maximumLength {
                fail(QubesError(.notUnderstood, "\(call.name): the answer is longer than 4 MiB"))
            } else {
                state = .open(descriptor, bytes + chunk)
            }
        } catch {
            fail(QubesError(.unreachable, "\(call.name): qubesd broke off: \(error)"))
        }
    }
}

extension QubesError {
    /// No answer in time, or only the beginning of one.
    static func late(_ call: AdminCall, isBegun: Bool = false) -> QubesError {
        QubesError(
            .unreachable,
            "\(call.name): qubesd gave no answer in time\(isBegun ? ", only the beginning of one" : "")",
            remedy: "See what keeps it: journalctl -u qubesd")
    }
}

extension AdminCall {
    /// What a whole answer comes to.
    func outcome(of bytes: [UInt8]) -> Result<[UInt8], QubesError> {
        guard let answer = AdminAnswer(parsing: bytes) else {
            return .failure(
                QubesError(
                    .notUnderstood,
                    "\(name): what answers does not speak the Admin API: '\(printable(bytes, limit: 40))'",
                    remedy: "Is it qubesd of Qubes OS 4.2 or later that serves the socket?"))
        }
        do throws(QubesError) { return .success(try answer.data(of: self)) } catch { return .failure(error) }
    }
}
