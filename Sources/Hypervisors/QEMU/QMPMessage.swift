internal import Devices
internal import FoundationEssentials

/// Something that happened in the VM, told without being asked.
struct QMPEvent: Sendable {
    let name: String
    /// The id of the device that it is about, if there is one.
    let device: String?
}

/// One line from QEMU, at a moment when a reply of that type is what comes next.
///
/// A line that is no message breaks the conversation; a reply of another form than it should have is the failure of its
/// one command.
enum QMPMessage<Reply> {
    case greeting
    case event(QMPEvent)
    case reply(id: Int64?, Result<Reply, QMPError>)
}

extension QMPMessage where Reply: Decodable {
    /// Reads one line; what is none of the three kinds is undecodable.
    init(line: [UInt8], by decoder: @autoclosure () -> JSONDecoder) throws(QMPError) {
        if let plain = QMPPlainReply(line), let reply = plain.reply(as: Reply.self) {
            self = .reply(id: plain.id, .success(reply))
            return
        }
        if QMPPlainReply.isGreeting(line) {
            self = .greeting
            return
        }
        do {
            self = try decoder().decode(QMPMessage.self, from: Data(line))
        } catch DecodingError.dataCorrupted {
            throw .undecodable("a line that is not JSON", raw: line)
        } catch {
            throw .undecodable("a message of no known kind", raw: line)
        }
        if case .reply(let id, .failure(.undecodable(let what, _))) = self {
            self = .reply(id: id, .failure(.undecodable(what, raw: Array(line.prefix(QMPError.keptBytes)))))
        }
    }
}

extension QMPMessage: Decodable where Reply: Decodable {
    /// Goes through the line once, reply and all, and looks only at the members that have a meaning here.
    init(from decoder: any Decoder) throws {
        let members = try decoder.container(keyedBy: QMPMember.self)
        let id = try? members.decode(Int64.self, forKey: .id)
        if members.contains(.reply) {
            do {
                self = .reply(id: id, .success(try members.decode(Reply.self, forKey: .reply)))
            } catch {
                self = .reply(id: id, .failure(.undecodable(misfit(error), raw: [])))
            }
        } else if members.contains(.error) {
            let refusal = try members.decode(QMPRefusal.self, forKey: .error)
            self = .reply(id: id, .failure(.server(class: refusal.class, description: refusal.desc)))
        } else if members.contains(.event) {
            let name = try members.decode(String.self, forKey: .event)
            let data = try? members.decode(QMPEventData.self, forKey: .data)
            self = .event(QMPEvent(name: name, device: data?.device))
        } else {
            _ = try members.nestedContainer(keyedBy: QMPMember.self, forKey: .greeting)
            self = .greeting
        }
    }
}

private enum QMPMember: String, CodingKey {
    case greeting = "QMP"
    case reply = "return"
    case event, data, id, error
}

private struct QMPRefusal: Decodable {
    let `class`: String
    let desc: String
}

/// The one member that we read of what an event tells.
private struct QMPEventData: Decodable {
    let device: String?
}

/// What is wrong with a reply, in words.
private func misfit(_ error: any Error) -> String {
    let path: [any CodingKey]
    switch error as? DecodingError {
    case .keyNotFound(let key, let context)?: path = context.codingPath + [key]
    case .typeMismatch(_, let context)?, .valueNotFound(_, let context)?, .dataCorrupted(let context)?:
        path = context.codingPath
    default: path = []
    }
    let place = path.dropFirst().map { $0.intValue.map(String.init) ?? $0.stringValue }.joined(separator: ".")
    return place.isEmpty
        ? "an answer of another form than it should have"
        : "an answer whose '\(printable(place, limit: 80))' is missing or of another type than it should be"
}
