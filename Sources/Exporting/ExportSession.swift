public import Applying
internal import Devices
internal import ExportProtocol
internal import Glibc
internal import HostDevices
public import Platform

/// One connection to `vmdev-export`: one request, its answer, and, of an export, all the time that it lasts.
public struct ExportSession {
    let root: Root
    /// What comes from the host, and where what goes to it is written: one and the same socket, or two pipes.
    let input: Descriptor
    let output: Descriptor
    private let source: any DeviceSource
    private let patience: Duration

    /// Serves who is at the other end of `input` and `output`.
    public init(root: Root, input: Descriptor, output: Descriptor) {
        self.init(root: root, source: HostSource(root: root), input: input, output: output, patience: .seconds(10))
    }

    /// `patience` is how long the other side may take for its request, and a program of ours to come up.
    init(root: Root, source: any DeviceSource, input: Descriptor, output: Descriptor, patience: Duration) {
        self.root = root
        self.source = source
        self.input = input
        self.output = output
        self.patience = patience
    }

    /// Serves, and answers how the program ends.
    public func run() -> Sysexit {
        do {
            try? input.keepAlive()
            let exports = try Exports(root: root, source: source)
            switch try request() {
            case .list(let deviceClass): try answer(.devices(exports.list(deviceClass)))
            case .status: try answer(.exports(exports.live()))
            case .export(let wish): try export(exports.take(wish))
            }
            return .success
        } catch let refusal as ExportRefusal {
            writeStandardError("vmdev-export: \(refusal.message)\n")
            try? answer(.refusal(refusal))
            return refusal.kind == .request ? .usage : refusal.kind == .forbidden ? .permission : .unavailable
        } catch {
            writeStandardError("vmdev-export: \(error)\n")
            try? answer(.refusal(ExportRefusal(.failed, "\(error)")))
            return .refused
        }
    }

    private func export(_ taken: Exports.Taken) throws {
        if taken.device.usb != nil { try exportUSB(taken) } else { try exportDisk(taken) }
        writeStandardError("vmdev-export: the export of \(taken.device.port) has ended\n")
    }

    /// One line, whole, in time and not too long.
    private func request() throws(ExportRefusal) -> ExportRequest {
        let deadline = Deadline(after: patience)
        var line: [UInt8] = []
        do {
            // One byte at a time: what comes after the line belongs to usbredir.
            while line.last != UInt8(ascii: "\n") {
                guard line.count < ExportLimits.requestLine else {
                    throw ExportRefusal(.request, "the request has more than \(ExportLimits.requestLine) bytes")
                }
                guard try input.wait(.readable, until: deadline) else {
                    throw ExportRefusal(.request, "no request came in time")
                }
                let bytes = try input.read(upTo: 1)
                guard !bytes.isEmpty else { throw ExportRefusal(.request, "the connection ended before a request") }
                line += bytes
            }
            return try ExportRequest(parsing: Array(line.dropLast()))
        } catch let error as ExportRefusal {
            throw error
        } catch {
            throw ExportRefusal(.request, "\(error)")
        }
    }

    func answer(_ reply: ExportReply) throws { try output.write(reply.line()) }

    func limit() -> Deadline { Deadline(after: patience) }
}
