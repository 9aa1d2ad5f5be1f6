internal import Devices

extension Settings {
    static let qubesUnit = VMNamePattern(before: "qubes-vm@", after: ".service")
    static let standardQubesTimeout = Duration.seconds(30)

    /// `[Qubes]`.
    static let qubesRules = [
        SettingRule(key: "TimeoutSec", expectation: TimeSpan.expectation + ", longer than 0") { settings, value in
            guard let timeout = value.isEmpty ? standardQubesTimeout : TimeSpan(value)?.duration, timeout > .zero
            else { return false }
            settings.qubesTimeout = timeout
            return true
        }
    ]
}
