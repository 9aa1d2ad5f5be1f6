public import Devices

/// One call of Qubes's Admin API.
public struct AdminCall: Hashable, Sendable {
    /// `admin.vm.device.usb.Assigned`.
    public let method: String
    /// What follows the `+`; empty for none.
    public let argument: String
    /// The VM that it is about; `dom0` for the host and for all of them.
    public let destination: VMName
    /// What comes after the header.
    public let payload: [UInt8]

    /// The longest request, in bytes; qubesd reads no more.
    public static let maximumLength = 65_536

    /// Describes a call.
    public init(_ method: String, _ argument: String = "", to destination: VMName, payload: String = "") {
        self.method = method
        self.argument = argument
        self.destination = destination
        self.payload = Array(payload.utf8)
    }

    /// The call as qubesd reads it from its socket: `METHOD+ARGUMENT SOURCE name DESTINATION`, NUL, payload; the end of
    /// the stream has to follow.
    public func request(from source: VMName = .host) throws(QubesError) -> [UInt8] {
        let service = try checkedService()
        let header = "\(service) \(source) name \(destination)"
        let bytes = Array(header.utf8) + [0] + payload
        guard bytes.count <= AdminCall.maximumLength else {
            throw QubesError(.refused, "\(name): the request is longer than the 64 KiB that qubesd reads")
        }
        return bytes
    }

    /// `METHOD+ARGUMENT`, which is the name of a qrexec service as well.
    public func checkedService() throws(QubesError) -> String {
        let service = "\(method)+\(argument)"
        // A blank or a NUL would end the field, and what follows would be read as another VM's name.
        guard service.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else {
            throw QubesError(
                .refused, "\(printable(service)) cannot be asked: it is not printable ASCII in one word")
        }
        return service
    }

    /// For messages.
    public var name: String { "\(method) of \(destination)" }
}
