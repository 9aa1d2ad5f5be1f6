internal import Devices

extension Settings {
    static let standardSocket = VMNamePattern(before: "/run/vmdev/qmp/", after: ".sock")
    static let standardTimeout = Duration.seconds(10)

    /// `[QEMU]`.
    static let qemuRules = [
        SettingRule(
            key: "QMPSocket",
            expectation: """
                an absolute path with %i (the name of the VM) in it once, such as /run/vmdev/qmp/%i.sock; a percent sign \
                is written %%
                """
        ) { settings, value in
            guard let pattern = value.isEmpty ? standardSocket : try? VMNamePattern(value),
                pattern.before.hasPrefix("/"), !pattern.after.hasSuffix("/")
            else { return false }
            settings.qmpSocket = pattern
            return true
        },
        SettingRule(key: "QMPTimeoutSec", expectation: TimeSpan.expectation + ", longer than 0") {
            settings, value in
            guard let timeout = value.isEmpty ? standardTimeout : TimeSpan(value)?.duration, timeout > .zero else {
                return false
            }
            settings.qmpTimeout = timeout
            return true
        },
    ]
}
