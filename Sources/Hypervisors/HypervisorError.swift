internal import Devices

/// Why a hypervisor did not do what it was asked for.
public struct HypervisorError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What went wrong, in the kinds that a caller treats differently.
    public enum Kind: String, Sendable {
        /// There is no such VM now.
        case notRunning
        /// We could not ask: no connection, or no answer in time.
        case unreachable
        /// We may not ask.
        case forbidden
        /// Another VM answers there.
        case wrongVM
        /// It said no.
        case refused
        /// Somebody else has the device.
        case taken
        /// It has no place for one more device.
        case noRoom
        /// It cannot do this at all.
        case unsupported
        /// This release of it, or a VM as it is configured, cannot do this.
        case incapable
        /// Somebody is not there who is needed for this: an agent in a VM or on the desktop.
        case noAgent
        /// We did not understand the answer.
        case notUnderstood
        /// It said yes, and the device is not there or not as asked for.
        case notVerified
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
