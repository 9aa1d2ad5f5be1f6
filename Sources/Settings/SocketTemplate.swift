internal import Devices

/// The path of a VM's socket, with `%i` for the name of the VM and `%%` for a percent sign.
struct SocketTemplate: Hashable {
    private let before: String
    private let after: String

    static let standard = SocketTemplate(before: "/run/vmdev/qmp/", after: ".sock")
    static let expectation =
        "an absolute path with %i (the name of the VM) in it once, such as /run/vmdev/qmp/%i.sock"

    private init(before: String, after: String) {
        self.before = before
        self.after = after
    }

    /// Nil when it is not as expected.
    init?(_ text: String) {
        guard text.hasPrefix("/"), printable(text, limit: 4096) == text else { return nil }
        var parts = [""]
        var rest = text[...]
        while let percent = rest.firstIndex(of: "%") {
            parts[parts.count - 1] += rest[..<percent]
            rest = rest[rest.index(after: percent)...]
            switch rest.popFirst() {
            case "%": parts[parts.count - 1] += "%"
            case "i": parts.append("")
            default: return nil
            }
        }
        parts[parts.count - 1] += rest
        guard parts.count == 2, let before = parts.first, let after = parts.last, !after.hasSuffix("/") else {
            return nil
        }
        self.init(before: before, after: after)
    }

    func path(for vm: VMName) -> String { before + vm.description + after }
}
