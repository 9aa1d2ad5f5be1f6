internal import Devices

/// Why qubesd did not do what it was asked for.
public struct QubesError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What went wrong, in the kinds that a caller treats differently.
    public enum Kind: Hashable, Sendable {
        /// We could not ask: nobody serves the socket, or there was no answer in time.
        case unreachable
        /// We may not ask.
        case forbidden
        /// An empty answer: it refused, or something went wrong inside.
        case noAnswer
        /// It said no, with the name of its exception ("DeviceAlreadyAttached").
        case exception(String)
        /// We did not ask, because it could not be asked.
        case refused
        /// This release of Qubes OS has no such call.
        case unsupported
        /// We did not understand the answer.
        case notUnderstood
    }

    /// The kind.
    public let kind: Kind
    /// A sentence without its full stop: the thing and the reason.
    public let message: String
    /// What to do next, as a sentence, if anything can be said.
    public let remedy: String?

    /// Everything in `message` and `remedy` is made printable.
    public init(_ kind: Kind, _ message: String, remedy: String? = nil) {
        self.kind = kind
        self.message = printable(message, limit: 1024)
        self.remedy = remedy.map { printable($0, limit: 1024) }
    }

    /// Message and remedy.
    public var description: String { remedy.map { "\(message). \($0)" } ?? message }
}

extension HypervisorError {
    /// What qubesd said.
    public init(_ error: QubesError) {
        let kind: Kind =
            switch error.kind {
            case .unreachable: .unreachable
            case .forbidden, .exception("PermissionDenied"): .forbidden
            case .exception("DeviceAlreadyAttached"): .taken
            case .exception("QubesVMNotRunningError"), .exception("QubesVMNotFoundError"): .notRunning
            case .exception("USBProxyNotInstalled"): .noAgent
            case .noAnswer, .exception, .refused: .refused
            case .unsupported: .incapable
            case .notUnderstood: .notUnderstood
            }
        self.init(kind, error.message, remedy: error.remedy)
    }
}
