internal import Devices
internal import Platform

/// The table as a whole could not be read or written. Nothing half-written is ever in its place.
public struct TableError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What stood in the way.
    public enum Kind: Hashable, Sendable {
        /// It is there, and reading it failed.
        case unreadable
        /// Writing it failed: a full disk, a file system mounted read-only.
        case unwritable
        /// We may not.
        case forbidden
        /// Another editor held the lock until the deadline.
        case busy
        /// It was changed by hand between reading and writing, again and again.
        case changedMeanwhile
        /// It is not a table at all: too large, or not a file.
        case malformed
        /// Who keeps it cannot be asked, or not in time.
        case unreachable
        /// Who keeps it said no.
        case refused
        /// Who keeps it has no such thing.
        case unsupported
        /// What keeps it gave an answer that was not understood.
        case notUnderstood
    }

    /// What stood in the way.
    public let kind: Kind
    /// The file that it is about; empty when it is none.
    public let path: String
    /// What happened, with the system's reason.
    public let message: String
    /// What to do about it.
    public let remedy: String

    /// Describes an error of a store that is no file; `message` names the thing.
    public init(_ kind: Kind, _ message: String, remedy: String) {
        self.init(kind, "", printable(message, limit: 1024), remedy: printable(remedy, limit: 1024))
    }

    init(_ kind: Kind, _ path: String, _ message: String, remedy: String) {
        self.kind = kind
        self.path = printable(path)
        self.message = message
        self.remedy = remedy
    }

    /// "/etc/vmdev/assignments: cannot be read (Input/output error); check …".
    public var description: String {
        guard path.isEmpty else { return "\(path): \(message); \(remedy)" }
        return remedy.isEmpty ? message : "\(message). \(remedy)"
    }

    static func unreadable(_ path: String, _ error: SystemCallError) -> TableError {
        if error.isPermission {
            return TableError(
                .forbidden, path, "may not be read (\(error.reason))",
                remedy: "run this as root, or check its permissions")
        }
        return TableError(
            .unreadable, path, "cannot be read (\(error.reason))", remedy: "check the file and its file system")
    }

    static func unwritable(_ path: String, _ error: SystemCallError) -> TableError {
        if error.isPermission {
            return TableError(.forbidden, path, "may not be changed (\(error.reason))", remedy: "run this as root")
        }
        let remedy =
            error.isFull
            ? "make room there and try again"
            : error.isReadOnly
                ? "remount it read-write, or change the table where it is made"
                : "check its folder and file system"
        return TableError(.unwritable, path, "cannot be written (\(error.description))", remedy: remedy)
    }
}
