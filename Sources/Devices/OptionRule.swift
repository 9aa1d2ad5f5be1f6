/// What an option is called, what it may be, and what it does: the text that errors and `--help` show.
public struct OptionRule: Sendable {
    /// Its name.
    public let key: String
    /// What it does, as half a sentence.
    public let help: String
    /// Which values it takes.
    public let kind: Kind

    /// The forms of values.
    public enum Kind: Sendable {
        /// 0, no, false, off or 1, yes, true, on.
        case boolean
        /// One of these words.
        case words([String])
        /// A name for the device in the guest, beginning with one of these.
        case frontend([String])
        /// A span of time.
        case span
    }

    /// The options that a class knows.
    public static func rules(of deviceClass: DeviceClass) -> [OptionRule] {
        switch deviceClass {
        case .block: block + common
        case .pci: pci + common
        case .usb, .mic: common
        }
    }

    /// The values that it takes, for messages.
    public var expectation: String {
        switch kind {
        case .boolean: "yes or no (also 1/0, true/false, on/off)"
        case .words(let words): words.joined(separator: " or ")
        case .frontend(let prefixes):
            "a name that begins with \(prefixes.joined(separator: " or ")), then letters or digits, 16 at most"
        case .span: TimeSpan.expectation
        }
    }

    /// The value in the one form in which it is stored.
    func canonical(_ value: String) throws(SyntaxError) -> String {
        let found: String? =
            switch kind {
            case .boolean: boolean(value).map { $0 ? "yes" : "no" }
            case .words(let words): words.contains(value) ? value : nil
            case .frontend(let prefixes): isFrontend(value, prefixes) ? value : nil
            case .span: TimeSpan(value)?.description
            }
        guard let found else { throw SyntaxError("value of \(key)", value, expected: expectation) }
        return found
    }

    private static let common = [
        OptionRule(
            key: "follow", help: "no: refuse a device that has moved to another port (default: yes)", kind: .boolean
        ),
        OptionRule(
            key: "timeout", help: "how long a start waits for the device to appear (default: DeviceTimeoutSec=)",
            kind: .span),
    ]
    private static let block = [
        OptionRule(key: "read-only", help: "yes: the guest cannot write to it", kind: .boolean),
        OptionRule(
            key: "frontend-dev", help: "the device's name in the guest (Qubes OS only)",
            kind: .frontend(["xvd", "sd"])),
        OptionRule(key: "devtype", help: "disk (default) or cdrom", kind: .words(["disk", "cdrom"])),
    ]
    private static let pci = [
        OptionRule(
            key: "no-strict-reset", help: "yes: accept a device that cannot be reset by itself", kind: .boolean),
        OptionRule(
            key: "permissive", help: "yes: let the guest write all of its configuration space", kind: .boolean),
    ]
}

private func boolean(_ text: String) -> Bool? {
    switch text.lowercased() {
    case "1", "yes", "true", "on": true
    case "0", "no", "false", "off": false
    default: nil
    }
}

private func isFrontend(_ text: String, _ prefixes: [String]) -> Bool {
    guard let prefix = prefixes.first(where: text.hasPrefix), text.utf8.count <= 16 else { return false }
    let rest = text.dropFirst(prefix.count).utf8
    return !rest.isEmpty
        && rest.allSatisfy { ($0 >= 0x61 && $0 <= 0x7a) || ($0 >= 0x30 && $0 <= 0x39) }
}
