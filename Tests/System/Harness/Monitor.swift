import Foundation
import Platform

/// A second QMP connection to a VM: what the VM itself says of its state, and every event since its start.
final class Monitor {
    private let socket: UnixSocket
    private var rest: [UInt8] = []
    /// The names of the events so far.
    private(set) var events: [String] = []

    /// Speaks on a connection that QEMU was given at its start.
    init(_ connection: Descriptor) throws {
        socket = UnixSocket(connection)
        guard try message(until: Deadline(after: .seconds(300)))?["QMP"] != nil else {
            throw Failure("no greeting")
        }
        try execute("qmp_capabilities")
    }

    /// Sends a command and answers what it returns.
    @discardableResult
    func execute(_ command: String, _ arguments: [String: Any] = [:]) throws -> Any {
        let deadline = Deadline(after: .seconds(300))
        let data = try JSONSerialization.data(withJSONObject: ["execute": command, "arguments": arguments])
        guard try socket.send([UInt8](data) + [0x0A], until: deadline) else {
            throw Failure("\(command): not taken")
        }
        while let message = try message(until: deadline) {
            if let event = message["event"] as? String { events.append(event) }
            if let answer = message["return"] { return answer }
            if let error = message["error"] { throw Failure("\(command): \(error)") }
        }
        throw Failure("\(command): QEMU has gone")
    }

    /// "prelaunch", "running", …
    func status() throws -> String {
        let answer = try execute("query-status") as? [String: Any]
        return answer?["status"] as? String ?? "?"
    }

    /// The devices attached by us, by their id.
    func attachments() throws -> [String] {
        let list = try execute("qom-list", ["path": "/machine/peripheral"]) as? [[String: Any]] ?? []
        return list.compactMap { $0["name"] as? String }.filter { $0.hasPrefix("vmdev-") }.sorted()
    }

    /// Waits until QEMU has gone, and answers all events there were.
    func eventsUntilEnd(within time: Duration = .seconds(300)) throws -> [String] {
        let deadline = Deadline(after: time)
        while let message = try message(until: deadline) {
            if let event = message["event"] as? String { events.append(event) }
        }
        return events
    }

    /// Waits for the next event of that name.
    func wait(for event: String) throws {
        let deadline = Deadline(after: .seconds(300))
        while let message = try message(until: deadline) {
            guard let name = message["event"] as? String else { continue }
            events.append(name)
            if name == event { return }
        }
        throw Failure("QEMU has gone without \(event)")
    }

    /// The next message; nil at the end.
    private func message(until deadline: Deadline) throws -> [String: Any]? {
        while true {
            if let end = rest.firstIndex(of: 0x0A) {
                let line = Data(rest[..<end])
                rest.removeSubrange(...end)
                return try JSONSerialization.jsonObject(with: line) as? [String: Any] ?? [:]
            }
            let bytes: [UInt8]?
            // A connection that is reset: QEMU was killed.
            do { bytes = try socket.read(upTo: 65_536, until: deadline) } catch { return nil }
            guard let bytes else { throw Failure("QEMU said nothing more, and is still there") }
            if bytes.isEmpty { return nil }
            rest += bytes
        }
    }
}
