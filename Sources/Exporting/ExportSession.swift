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
    private let announcement: Announcement?

    /// Serves who is at the other end of `input` and `output`.
    ///
    /// An export that ends because its device has gone is announced.
    public init(root: Root, input: Descriptor, output: Descriptor, announcement: Announcement? = nil) {
        self.init(
            root: root, source: HostSource(root: root), input: input, output: output, patience: .seconds(10),
            announcement: announcement)
    }

    /// `patience` is how long the other side may take for its request.
    init(
        root: Root, source: any DeviceSource, input: Descriptor, output: Descriptor, patience: Duration,
        announcement: Announcement? = nil
    ) {
        self.root = root
        self.source = source
        self.input = input
        self.output = output
        self.patience = patience
        self.announcement = announcement
    }

    /// Serves, and answers how the program ends.
    public func run() -> Sysexit {
        do {
            try? input.keepAlive()
            let exports = try Exports(root: root, source: source)
            switch try request() {
            case .list(let deviceClass): try answer(.devices(exports.list(deviceClass)))
            case .status: try answer(.exports(exports.live()))
            case .export(let wish): try export(wish, of: exports)
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

    /// Whose doing it is that an export ends.
    enum End {
        /// The host closed the connection: the VM does not have the device any more.
        case host
        /// The device has gone, or who served it has.
        case device
    }

    private func export(_ wish: ExportRequest.Wish, of exports: Exports) throws {
        // What is taken is free again when this comes back: only then a driver may have the device.
        let end = try serve(exports.take(wish))
        do { try source.giveBack(wish.port, of: wish.deviceClass, from: wish.target) } catch {
            writeStandardError("vmdev-export: \(error)\n")
        }
        let why = end == .host ? "its VM does not have it any more" : "it was plugged out, or broke"
        writeStandardError("vmdev-export: the export of \(wish.port) to VM \(wish.target) has ended: \(why)\n")
        guard end == .device, let announcement else { return }
        // Who looks because of the call finds the export ended.
        _ = shutdown(input.raw, Int32(SHUT_RDWR))
        _ = announcement.make()
    }

    private func serve(_ taken: consuming Exports.Taken) throws -> End {
        if taken.device.usb != nil { try exportUSB(taken) } else { try exportDisk(taken) }
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
}
