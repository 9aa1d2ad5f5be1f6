/// The folder from which /etc, /run, /sys and /dev derive; "/" on a real host, a folder of its own in a test.
public struct Root: Sendable, Equatable {
    /// Absolute path without a slash at its end; empty for "/".
    public let prefix: String

    /// The host itself.
    public static let host = Root("/")

    /// Takes an absolute path.
    public init(_ path: String) {
        var prefix = path[...]
        while prefix.hasSuffix("/") { prefix = prefix.dropLast() }
        self.prefix = String(prefix)
    }

    /// Whether this is the host itself and not a folder.
    public var isHost: Bool { prefix.isEmpty }

    /// Where an absolute path of the host lies under this root.
    public func path(_ absolute: String) -> String { prefix + absolute }
}
