internal import Devices

extension Settings {
    static let standardUnit = VMNamePattern(before: "qemu@", after: ".service")

    /// `[Host]`.
    static let hostRules = [
        SettingRule(
            key: "Hypervisor", expectation: Hypervisor.allCases.map(\.rawValue).joined(separator: " or ")
        ) { settings, value in
            guard let hypervisor = value.isEmpty ? .auto : Hypervisor(rawValue: value) else { return false }
            settings.hypervisor = hypervisor
            return true
        },
        SettingRule(
            key: "VMUnit",
            expectation: "a unit's name with %i (the name of the VM) in it, such as qemu@%i.service"
        ) { settings, value in
            if value.isEmpty {
                settings.chosenUnit = nil
                return true
            }
            guard let pattern = try? VMNamePattern(value), pattern.after.hasSuffix(".service"), isUnitName(pattern)
            else { return false }
            settings.chosenUnit = pattern
            return true
        },
        SettingRule(key: "StartSourceVM", expectation: "yes or no") { settings, value in
            switch value.lowercased() {
            case "", "0", "no", "false", "off": settings.startsSourceVMs = false
            case "1", "yes", "true", "on": settings.startsSourceVMs = true
            default: return false
            }
            return true
        },
        SettingRule(key: "DeviceTimeoutSec", expectation: TimeSpan.expectation + ", or nothing") {
            settings, value in
            if value.isEmpty {
                settings.deviceTimeout = nil
                return true
            }
            guard let timeout = TimeSpan(value)?.duration else { return false }
            settings.deviceTimeout = timeout
            return true
        },
    ]

    /// What systemd.unit(5) allows in a name, so that none leaves its folder.
    private static func isUnitName(_ pattern: VMNamePattern) -> Bool {
        let text = pattern.before + pattern.after
        return text.utf8.count <= 150 && !pattern.before.hasPrefix(".")
            && text.utf8.allSatisfy { VMName.mayContain($0) || $0 == UInt8(ascii: "@") || $0 == UInt8(ascii: ":") }
    }
}
