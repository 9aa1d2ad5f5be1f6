public import Devices
internal import FoundationEssentials

/// What a source VM answers: one line of JSON.
///
///     {"vmdev":1,"devices":[{"port":"sdb","title":"…","instance":"…","key":"block-8:16","size":…,…}]}
///     {"vmdev":1,"export":{"channel":137,"name":"sdb"}}        NBD, so many ports above the address
///     {"vmdev":1,"export":{"stream":"usbredir"}}               usbredir, on this very connection from now on
///     {"vmdev":1,"exports":[{"class":"block","port":"sdb","target":"work"}]}
///     {"vmdev":1,"error":{"kind":"exported","message":"…","target":"other"}}
public enum ExportReply: Hashable, Sendable {
    /// The devices of the class that was asked for.
    case devices([ExportedDevice])
    /// A disk, over NBD: the channel beside the address, 1 to `SourceAddress.channels`, and the export's name there.
    case disk(channel: Int, name: String)
    /// A USB device: usbredir follows.
    case usb
    /// What is exported now.
    case exports([LiveExport])
    /// Why not.
    case refusal(ExportRefusal)

    /// One export that lives.
    public struct LiveExport: Hashable, Sendable {
        /// What.
        public let deviceClass: DeviceClass
        /// Its port.
        public let port: Port
        /// The VM that has it.
        public let target: VMName

        /// Describes an export.
        public init(deviceClass: DeviceClass, port: Port, target: VMName) {
            self.deviceClass = deviceClass
            self.port = port
            self.target = target
        }
    }
}

/// Why a source VM does not do what it was asked for.
public struct ExportRefusal: Error, Hashable, Sendable {
    /// What kind of reason.
    public enum Kind: String, Sendable, CaseIterable {
        /// The device is not there.
        case gone
        /// Another device is there now.
        case changed
        /// The source VM uses it itself.
        case inUse = "in-use"
        /// Another VM has it.
        case exported
        /// It can only be read.
        case readOnly = "read-only"
        /// It cannot be exported as things are.
        case unfit
        /// The exporter may not.
        case forbidden
        /// The request was not understood.
        case request
        /// Something else.
        case failed
    }

    /// The kind.
    public let kind: Kind
    /// A sentence without its full stop, printable.
    public let message: String
    /// The VM that has the device, when one has.
    public let target: VMName?

    /// Describes a refusal; the message is made printable.
    public init(_ kind: Kind, _ message: String, target: VMName? = nil) {
        self.kind = kind
        self.message = printable(message, limit: ExportLimits.text)
        self.target = target
    }
}

extension ExportReply {
    private struct Line: Codable {
        var vmdev = ExportLimits.version
        var devices: [ExportedDevice.Entry]?
        var export: Export?
        var exports: [Live]?
        var error: Failure?
    }

    private struct Export: Codable {
        var channel: Int?
        var name: String?
        var stream: String?
    }

    private struct Live: Codable {
        var deviceClass: String
        var port: String
        var target: String

        enum CodingKeys: String, CodingKey {
            case port, target
            case deviceClass = "class"
        }
    }

    private struct Failure: Codable {
        var kind: String
        var message: String
        var target: String?
    }

    /// The line that is sent, with its end.
    public func line() throws(ExportSyntaxError) -> [UInt8] {
        switch self {
        case .devices(let devices): try encoded(Line(devices: devices.map(\.entry)))
        case .disk(let channel, let name): try encoded(Line(export: Export(channel: channel, name: name)))
        case .usb: try encoded(Line(export: Export(stream: "usbredir")))
        case .exports(let exports):
            try encoded(
                Line(
                    exports: exports.map {
                        Live(
                            deviceClass: $0.deviceClass.rawValue, port: $0.port.description,
                            target: $0.target.description)
                    }))
        case .refusal(let refusal):
            try encoded(
                Line(
                    error: Failure(
                        kind: refusal.kind.rawValue, message: refusal.message, target: refusal.target?.description))
            )
        }
    }

    /// Reads a line without its end; `deviceClass` is what a list was asked for.
    public init(parsing bytes: [UInt8], of deviceClass: DeviceClass = .block) throws(ExportSyntaxError) {
        let line = try decoded(Line.self, from: bytes, limit: ExportLimits.replyLine)
        if let error = line.error {
            // A kind that only a later version knows is a refusal all the same.
            self = .refusal(
                ExportRefusal(
                    ExportRefusal.Kind(rawValue: error.kind) ?? .failed, error.message,
                    target: error.target.flatMap { try? VMName($0) }))
        } else if let export = line.export {
            self = try ExportReply.export(export)
        } else if let devices = line.devices {
            guard devices.count <= ExportLimits.devices else {
                throw ExportSyntaxError("it lists \(devices.count) devices; \(ExportLimits.devices) is the most")
            }
            var read: [ExportedDevice] = []
            for entry in devices { read.append(try ExportedDevice(entry, of: deviceClass)) }
            guard Set(read.map(\.port)).count == read.count, Set(read.map(\.key)).count == read.count else {
                throw ExportSyntaxError("it lists a device twice")
            }
            self = .devices(read)
        } else if let exports = line.exports {
            self = .exports(try ExportReply.live(exports))
        } else {
            throw ExportSyntaxError("the answer says nothing that is known")
        }
    }

    private static func export(_ export: Export) throws(ExportSyntaxError) -> ExportReply {
        if export.stream == "usbredir" { return .usb }
        guard let channel = export.channel, (1...SourceAddress.channels).contains(channel), let name = export.name
        else { throw ExportSyntaxError("it does not say where the device can be had") }
        return .disk(channel: channel, name: try checked(name, "export name", limit: ExportLimits.key))
    }

    private static func live(_ exports: [Live]) throws(ExportSyntaxError) -> [LiveExport] {
        guard exports.count <= ExportLimits.devices else { throw ExportSyntaxError("it has too many exports") }
        do {
            return try exports.map { live in
                guard let deviceClass = DeviceClass(rawValue: live.deviceClass) else {
                    throw ExportSyntaxError("'\(printable(live.deviceClass, limit: 40))' is no class")
                }
                return LiveExport(
                    deviceClass: deviceClass, port: try Port(live.port, of: deviceClass),
                    target: try VMName(live.target))
            }
        } catch let error as ExportSyntaxError {
            throw error
        } catch {
            throw ExportSyntaxError("\(error)")
        }
    }
}
