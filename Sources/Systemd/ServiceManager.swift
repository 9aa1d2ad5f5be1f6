internal import CSystemd

/// The service manager that started us, if one did (sd_notify(3)).
public struct ServiceManager: Sendable {
    /// Finds it by NOTIFY_SOCKET, which stays as it is for whom we start.
    public init() {}

    /// Shows a line in `systemctl status`; answers whether somebody was told.
    ///
    /// A line break would begin another message to the service manager, so control characters become spaces.
    @discardableResult
    public func status(_ text: String) -> Bool {
        let line = String(
            decoding: text.utf8.prefix(1024).map { $0 < 0x20 || $0 == 0x7f ? 0x20 : $0 }, as: UTF8.self)
        return unsafe sd_notify(0, "STATUS=\(line)") > 0
    }

    /// Keeps the service manager from taking us for hanging: the start may take so much longer, from now on; a time that it
    /// has left anyway is not shortened. Works for every program of a unit that NotifyAccess= lets speak, whatever its
    /// Type= (systemd 236 and later).
    @discardableResult
    public func extendTimeout(by duration: Duration) -> Bool {
        let (seconds, attoseconds) = duration.components
        let microseconds = min(max(seconds, 0), 1 << 32) * 1_000_000 + attoseconds / 1_000_000_000_000
        return unsafe sd_notify(0, "EXTEND_TIMEOUT_USEC=\(microseconds)") > 0
    }
}
