internal import Devices
internal import ExportProtocol
internal import Platform

/// One connection to the exporter of a source VM: one request and its answer.
///
/// The VM is untrusted: no answer is waited for beyond the deadline, and none is read beyond its bound.
struct SourceConnection {
    let socket: UnixSocket

    /// Why there is no answer.
    enum Failure: Error {
        /// Nobody can be asked there.
        case unreachable(String)
        /// Somebody is there and does not answer as he should in time.
        case silent(String)
        /// The answer is none of the protocol.
        case notUnderstood(String)
    }

    init(to address: SourceAddress, until deadline: Deadline) throws(Failure) {
        do throws(SystemCallError) {
            switch address {
            case .unix(let path): socket = try UnixSocket.connect(to: path, until: deadline)
            case .vsock(let cid, let port):
                socket = UnixSocket(try Connection.vsock(cid: cid, port: port, until: deadline))
            case .tcp(let host, let port):
                socket = UnixSocket(try Connection.tcp(host: host, port: port, until: deadline))
            }
        } catch {
            throw .unreachable(error.reason)
        }
    }

    /// Asks and reads the answer, and not one byte of what follows it.
    func ask(
        _ request: ExportRequest, of deviceClass: DeviceClass, until deadline: Deadline
    ) throws(Failure) -> ExportReply {
        do {
            guard try socket.send(request.line(), until: deadline) else {
                throw Failure.silent("it does not take the request in time")
            }
            let line = try line(chunk: isFollowed(request) ? 1 : 65_536, until: deadline)
            return try ExportReply(parsing: line, of: deviceClass)
        } catch let error as Failure {
            throw error
        } catch let error as ExportSyntaxError {
            throw .notUnderstood(error.description)
        } catch let error as SystemCallError {
            throw .silent("the connection broke (\(error.reason))")
        } catch {
            throw .silent("\(error)")
        }
    }

    /// The answer to an export may be followed by usbredir's own bytes.
    private func isFollowed(_ request: ExportRequest) -> Bool {
        if case .export = request { true } else { false }
    }

    private func line(chunk: Int, until deadline: Deadline) throws -> [UInt8] {
        var line: [UInt8] = []
        while true {
            guard let bytes = try socket.read(upTo: chunk, until: deadline) else {
                throw Failure.silent("it gives no answer in time")
            }
            guard !bytes.isEmpty else { throw Failure.silent("it closed the connection without an answer") }
            if let end = bytes.firstIndex(of: UInt8(ascii: "\n")) { return line + bytes[..<end] }
            line += bytes
            guard line.count < ExportLimits.replyLine else {
                throw Failure.notUnderstood("its answer does not end")
            }
            // Bytes that drip in keep the socket readable: the deadline is for all of them together.
            guard !deadline.hasPassed else { throw Failure.silent("its answer does not end in time") }
        }
    }
}
