import Foundation
import Glibc
package import Hypervisors
package import Platform

/// A qubesd of our own, written from the protocol alone: VMs in memory behind a real socket. It is strict about what it
/// is asked, and can be told to misbehave.
package final class QubesdStandIn: Sendable {
    package let root: Root
    private let model: Guarded<QubesModel>
    private let listener: Descriptor
    private let requests = Guarded<[String]>([])
    private let faults = Guarded<[(prefix: String, fault: Fault)]>([])
    private let held = Guarded<[Int32]>([])
    private let listened = Guarded<(@Sendable (QubesdStandIn) -> Void)?>(nil)
    private let turns = TurnGate()

    /// What it does wrong when the beginning of a request is as told.
    package enum Fault: Sendable {
        /// Answers nothing at all.
        case empty
        /// Sends so many bytes of the answer, and closes.
        case half(Int)
        /// Sends so many bytes of the answer, and then neither more nor the end.
        case hangs(after: Int)
        /// Answers with these bytes.
        case says([UInt8])
        /// Answers with an exception.
        case raises(String, String)
    }

    /// Whether the root is its own, and goes with it.
    private let ownsRoot: Bool

    /// In a root of its own, or in another.
    package init(_ release: QubesModel.Release = .r43, at place: Root? = nil) throws {
        let path = place?.prefix ?? "/tmp/vmdev-qubesd-\(UUID().uuidString)"
        ownsRoot = place == nil
        try FileManager.default.createDirectory(atPath: path + "/var/run", withIntermediateDirectories: true)
        root = Root(path)
        model = Guarded(QubesModel(release: release))
        listener = try listeningSocket(at: path + "/var/run/qubesd.sock", count: 100)
        // It has the listener as long as it lives: whoever got the number next would have its callers taken away.
        let thread = Thread { [weak self, listener] in
            while true {
                let client = accept(listener.raw, nil, nil)
                guard client >= 0, let self else {
                    if client >= 0 { close(client) }
                    return
                }
                // One thread for each: a call that hangs keeps nobody else.
                Thread.detachNewThread { [weak self] in self?.serve(client) }
            }
        }
        thread.start()
    }

    deinit {
        turns.expect([])
        shutdown(listener.raw, Int32(SHUT_RDWR))
        for client in held.withLock({ $0 }) { close(client) }
        if ownsRoot { try? FileManager.default.removeItem(atPath: root.prefix) }
    }

    package var admin: QubesAdmin { QubesAdmin(over: QubesdSocket(root: root), timeout: .seconds(20)) }

    /// Changes its VMs, or looks at them.
    @discardableResult
    package func with<Value: Sendable>(_ body: (inout QubesModel) -> Value) -> Value {
        model.withLock { model in body(&model) }
    }

    /// Has it do something wrong for requests that begin so, from now on.
    package func script(_ prefix: String, _ fault: Fault) { faults.withLock { $0.append((prefix, fault)) } }

    /// The headers of all requests so far, `METHOD+ARGUMENT DESTINATION`, in order.
    package var heard: [String] { requests.withLock { $0 } }

    /// What happens as soon as somebody listens to events.
    package func onEvents(_ body: @escaping @Sendable (QubesdStandIn) -> Void) { listened.withLock { $0 = body } }

    /// From now on no answer of a turn is given before all of its questions were asked: whoever asks one after the other never
    /// gets any.
    package func expectTurns(_ sizes: [Int]) {
        forget()
        turns.expect(sizes)
    }

    package func forget() { requests.withLock { $0 = [] } }

    private func serve(_ client: Int32) {
        guard let (request, isEnded) = QubesdStandIn.read(client), isEnded else {
            close(client)
            return
        }
        let (header, answer, fault) = model.withLock { model in
            var changed = model
            let (header, answer) = changed.answer(request)
            let fault = faults.withLock { $0.last { header.hasPrefix($0.prefix) }?.fault }
            // Who says what was scripted does nothing for it.
            switch fault {
            case .says, .raises: break
            default: model = changed
            }
            return (header, answer, fault)
        }
        requests.withLock { $0.append(header) }
        turns.pass()
        switch fault {
        case nil:
            if header.hasPrefix("admin.Events") {
                QubesdStandIn.send(Array("1\0\0connection-established\0\0".utf8), to: client)
                held.withLock { $0.append(client) }
                listened.withLock { $0 }?(self)
                return
            }
            QubesdStandIn.send(answer.bytes, to: client)
        case .empty: break
        case .half(let count): QubesdStandIn.send(Array(answer.bytes.prefix(count)), to: client)
        case .hangs(let count):
            QubesdStandIn.send(Array(answer.bytes.prefix(count)), to: client)
            held.withLock { $0.append(client) }
            return
        case .says(let bytes): QubesdStandIn.send(bytes, to: client)
        case .raises(let type, let message):
            QubesdStandIn.send(AdminAnswer.exception(type: type, message: message, arguments: []).bytes, to: client)
        }
        close(client)
    }

    /// Tells everybody who listens to events that something happened.
    package func happen(_ vm: String, _ event: String) {
        for client in held.withLock({ $0 }) {
            QubesdStandIn.send(Array("1\0\(vm)\0\(event)\0\0".utf8), to: client)
        }
    }

    /// The whole request, and whether the caller ended it: qubesd begins at the end of the stream, not before.
    private static func read(_ client: Int32) -> ([UInt8], Bool)? {
        var request: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_537)
        while true {
            let count = Glibc.read(client, &chunk, chunk.count)
            if count < 0 { return nil }
            if count == 0 { return (request, true) }
            request += chunk[..<count]
        }
    }

    private static func send(_ bytes: [UInt8], to client: Int32) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.send(client, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            guard count > 0 else { return }
            rest = rest.dropFirst(count)
        }
    }
}

/// Holds each caller back until as many have come as its turn has.
private final class TurnGate: @unchecked Sendable {
    private let condition = NSCondition()
    private var ends: [Int] = []
    private var count = 0

    func expect(_ sizes: [Int]) {
        condition.lock()
        defer { condition.unlock() }
        var sum = 0
        ends = sizes.map { size in
            sum += size
            return sum
        }
        count = 0
        condition.broadcast()
    }

    func pass() {
        condition.lock()
        defer { condition.unlock() }
        let index = count
        count += 1
        condition.broadcast()
        while let end = ends.first(where: { $0 > index }), count < end { condition.wait() }
    }
}
