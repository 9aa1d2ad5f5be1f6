public import Devices
internal import FoundationEssentials

/// What a host asks of a source VM: one line of JSON.
///
///     {"vmdev":1,"request":"list","class":"block"}
///     {"vmdev":1,"request":"export","class":"block","port":"sdb","instance":"…","target":"work","read-only":false}
///     {"vmdev":1,"request":"status"}
///
/// `instance` is what the list said of the device, so that no other is exported in its place. An export lasts as long as
/// the connection over which it was asked for; closing that ends it. With `"as":"sdc"` a disk is served as the one in that port
/// would be: it is where a VM that lost it looks for it.
public enum ExportRequest: Hashable, Sendable {
    /// Which devices of a class are there?
    case list(DeviceClass)
    /// Export one device to a VM.
    case export(Wish)
    /// What is exported now?
    case status

    /// One device for one VM.
    public struct Wish: Hashable, Sendable {
        /// `block` or `usb`.
        public let deviceClass: DeviceClass
        /// Its port.
        public let port: Port
        /// Its instance, from the list.
        public let instance: String
        /// The VM that gets it.
        public let target: VMName
        /// Whether that may only read it.
        public let readOnly: Bool
        /// The port under whose name the VM looks for it, when that is another: a disk may be called otherwise after the source
        /// VM was started again.
        public let servedAs: Port?

        /// Describes a wish.
        public init(
            deviceClass: DeviceClass, port: Port, instance: String, target: VMName, readOnly: Bool,
            servedAs: Port? = nil
        ) {
            self.deviceClass = deviceClass
            self.port = port
            self.instance = instance
            self.target = target
            self.readOnly = readOnly
            self.servedAs = servedAs
        }
    }

    /// The classes that a source VM can export.
    public static let classes: [DeviceClass] = [.block, .usb]
}

extension ExportRequest {
    private struct Line: Codable {
        var vmdev = ExportLimits.version
        var request: String
        var deviceClass: String?
        var port: String?
        var instance: String?
        var target: String?
        var readOnly: Bool?
        var servedAs: String?

        enum CodingKeys: String, CodingKey {
            case vmdev, request, port, instance, target
            case servedAs = "as"
            case deviceClass = "class"
            case readOnly = "read-only"
        }
    }

    /// The line that is sent, with its end.
    public func line() throws(ExportSyntaxError) -> [UInt8] {
        switch self {
        case .list(let deviceClass): try encoded(Line(request: "list", deviceClass: deviceClass.rawValue))
        case .status: try encoded(Line(request: "status"))
        case .export(let wish):
            try encoded(
                Line(
                    request: "export", deviceClass: wish.deviceClass.rawValue, port: wish.port.description,
                    instance: wish.instance, target: wish.target.description, readOnly: wish.readOnly,
                    servedAs: wish.servedAs?.description))
        }
    }

    /// Reads a line without its end.
    public init(parsing bytes: [UInt8]) throws(ExportSyntaxError) {
        let line = try decoded(Line.self, from: bytes, limit: ExportLimits.requestLine)
        switch line.request {
        case "status": self = .status
        case "list": self = .list(try ExportRequest.deviceClass(line.deviceClass))
        case "export":
            let deviceClass = try ExportRequest.deviceClass(line.deviceClass)
            guard let instance = line.instance, let readOnly = line.readOnly else {
                throw ExportSyntaxError("an export needs class, port, instance, target and read-only")
            }
            do {
                self = .export(
                    Wish(
                        deviceClass: deviceClass, port: try Port(line.port ?? "", of: deviceClass),
                        instance: try checked(instance, "instance", limit: ExportLimits.instance),
                        target: try VMName(line.target ?? ""), readOnly: readOnly,
                        servedAs: try line.servedAs.map { try Port($0, of: deviceClass) }))
            } catch let error as ExportSyntaxError {
                throw error
            } catch {
                throw ExportSyntaxError("\(error)")
            }
        default: throw ExportSyntaxError("there is no request '\(printable(line.request, limit: 40))'")
        }
    }

    private static func deviceClass(_ text: String?) throws(ExportSyntaxError) -> DeviceClass {
        guard let known = text.flatMap(DeviceClass.init(rawValue:)), classes.contains(known) else {
            throw ExportSyntaxError("'\(printable(text ?? "", limit: 40))' is no class that can be exported")
        }
        return known
    }
}

/// What every line begins with, whatever else is in it.
private struct Version: Decodable {
    let vmdev: Int
}

/// Reads one line of JSON, of our version.
func decoded<Line: Decodable>(
    _ type: Line.Type, from bytes: [UInt8], limit: Int
) throws(ExportSyntaxError) -> Line {
    guard bytes.count < limit else { throw ExportSyntaxError("the line has more than \(limit) bytes") }
    let data = Data(bytes)
    guard let version = try? JSONDecoder().decode(Version.self, from: data) else {
        throw ExportSyntaxError("'\(printable(bytes, limit: 60))' is no line of this protocol")
    }
    guard version.vmdev == ExportLimits.version else {
        throw ExportSyntaxError("it speaks version \(version.vmdev), and this side \(ExportLimits.version)")
    }
    do { return try JSONDecoder().decode(type, from: data) } catch {
        throw ExportSyntaxError("'\(printable(bytes, limit: 60))' has not the members that it should have")
    }
}

/// One line of JSON with its end.
func encoded(_ line: some Encodable) throws(ExportSyntaxError) -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    do { return try Array(encoder.encode(line)) + [UInt8(ascii: "\n")] } catch {
        throw ExportSyntaxError("this cannot be written as JSON (\(error))")
    }
}

/// A short text that a program compares: 1 to `limit` letters, digits and `.:_/-`.
func checked(_ text: String, _ what: String, limit: Int) throws(ExportSyntaxError) -> String {
    let isPlain = text.utf8.allSatisfy {
        VMName.mayContain($0) || $0 == UInt8(ascii: ":") || $0 == UInt8(ascii: "/")
    }
    guard isPlain, !text.isEmpty, text.utf8.count <= limit else {
        throw ExportSyntaxError("'\(printable(text, limit: 60))' is no \(what)")
    }
    return text
}
