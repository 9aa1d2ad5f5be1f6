internal import Devices

extension Settings {
    static let libvirtUnit = VMNamePattern(before: "libvirt-vm@", after: ".service")
    static let standardURI = "qemu:///system"
    static let standardLibvirtTimeout = Duration.seconds(30)

    /// `[Libvirt]`.
    static let libvirtRules = [
        SettingRule(key: "URI", expectation: "qemu:///system or qemu:///session: devices are of this host") {
            settings, value in
            guard ["", standardURI, "qemu:///session"].contains(value) else { return false }
            settings.libvirtURI = value.isEmpty ? standardURI : value
            return true
        },
        SettingRule(key: "TimeoutSec", expectation: TimeSpan.expectation + ", longer than 0") { settings, value in
            guard let timeout = value.isEmpty ? standardLibvirtTimeout : TimeSpan(value)?.duration, timeout > .zero
            else { return false }
            settings.libvirtTimeout = timeout
            return true
        },
    ]
}
