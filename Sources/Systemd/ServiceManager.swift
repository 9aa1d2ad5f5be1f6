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
}
