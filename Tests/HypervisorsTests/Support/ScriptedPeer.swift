import Foundation
import Glibc
import Platform
import TestSupport

/// Something at the other end of a QMP socket that plays a script to its first client; then it closes.
final class ScriptedPeer: Sendable {
    /// What it does next.
    enum Step: Sendable {
        /// Greets, agrees on capabilities and says that the VM has that name (none: it has no name).
        case handshake(String?)
        /// QEMU's first line.
        case greeting
        /// Sends the text as it is.
        case send(String)
        /// Sends so many bytes without the end of a line.
        case flood(Int)
        /// Sends the text again and again until the client closes.
        case repeated(String)
        /// Waits for a command and gives no answer.
        case hear
        /// Waits for a command; answers with the text, `ID` in it being the command's number.
        case answer(String)
        /// Says nothing until the client closes.
        case silence
    }

    /// Where it listens.
    let path: String
    private let seen = Guarded<[Command]>([])

    /// A command as it came.
    struct Command: Sendable {
        let line: String
        /// How many whole commands had come with it that it had not been given an answer to yet.
        let unansweredBehind: Int
    }

    /// Starts listening at once, at `path`.
    init(at path: String, _ script: [Step]) {
        self.path = path
        let listener = ScriptedPeer.listen(at: path)
        Thread { [self] in
            let client = accept(listener, nil, nil)
            close(listener)
            var conversation = Conversation(client: client)
            for step in script where !play(step, &conversation) { break }
            close(client)
        }.start()
    }

    /// The commands that came, in order.
    var commands: [Command] { seen.withLock { $0 } }

    private func play(_ step: Step, _ conversation: inout Conversation) -> Bool {
        switch step {
        case .greeting: return conversation.send(ScriptedPeer.greeting)
        case .send(let text): return conversation.send(text)
        case .flood(let count): return conversation.send(String(repeating: "x", count: count))
        case .repeated(let text):
            while conversation.send(text) {}
            return true
        case .hear: return hear(&conversation) != nil
        case .answer(let text): return answer(text, &conversation)
        case .silence:
            while hear(&conversation) != nil {}
            return true
        case .handshake(let name):
            let reply = name.map { "{\"name\": \"\($0)\"}" } ?? "{}"
            return conversation.send(ScriptedPeer.greeting)
                && answer("{\"return\": {}, \"id\": ID}\r\n", &conversation)
                && answer("{\"return\": \(reply), \"id\": ID}\r\n", &conversation)
        }
    }

    private func answer(_ text: String, _ conversation: inout Conversation) -> Bool {
        guard let line = hear(&conversation) else { return false }
        let object = try? JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
        let id = (object?["id"] as? Int).map(String.init) ?? "null"
        return conversation.send(text.replacingOccurrences(of: "ID", with: id))
    }

    private func hear(_ conversation: inout Conversation) -> String? {
        guard let line = conversation.line() else { return nil }
        let command = Command(line: line, unansweredBehind: conversation.lines)
        seen.withLock { $0.append(command) }
        return line
    }

    private static let greeting =
        "{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 22, \"minor\": 2, \"major\": 7}}, \"capabilities\": []}}\r\n"

    private static func listen(at path: String) -> Int32 {
        let listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let bound = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        precondition(bound == 0 && Glibc.listen(listener, 4) == 0, "cannot listen at \(path)")
        return listener
    }
}

/// The peer's side of a connection.
private struct Conversation {
    let client: Int32
    private var buffer: [UInt8] = []

    init(client: Int32) { self.client = client }

    /// Whole lines that came and were not taken.
    var lines: Int { buffer.count { $0 == UInt8(ascii: "\n") } }

    func send(_ text: String) -> Bool {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.send(client, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            guard count > 0 else { return false }
            rest = rest.dropFirst(count)
        }
        return true
    }

    mutating func line() -> String? {
        while true {
            if let end = buffer.firstIndex(of: UInt8(ascii: "\n")) {
                let line = String(decoding: buffer[..<end], as: UTF8.self)
                buffer.removeFirst(end + 1)
                return line
            }
            var chunk = [UInt8](repeating: 0, count: 65_536)
            let count = read(client, &chunk, chunk.count)
            guard count > 0 else { return nil }
            buffer += chunk[..<count]
        }
    }
}
