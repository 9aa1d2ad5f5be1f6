internal import Devices

/// How the program was called: its name chooses the class, and options that stand before the class go where the
/// command that takes them stands.
public struct Invocation: Sendable {
    /// What follows the program's name, with the class in front.
    public let arguments: [String]

    /// Takes argv: `qvm-block list` means `block list`; `qvm-device` and `vmdevctl` are followed by a class.
    public init(_ argv: [String]) {
        let program = argv.first?.split(separator: "/").last.map(String.init) ?? ""
        var rest = Array(argv.dropFirst())
        if program.hasPrefix("qvm-"), let named = DeviceClass(rawValue: String(program.dropFirst(4))) {
            rest.insert(named.rawValue, at: 0)
        }
        arguments = Invocation.reordered(rest)
    }

    /// `--root=/x -v block list` becomes `block list --root=/x -v`.
    private static func reordered(_ arguments: [String]) -> [String] {
        var leading: [String] = []
        var rest = arguments[...]
        while let next = rest.first, isGlobal(next) {
            leading.append(next)
            rest = rest.dropFirst()
            if next == "--root", let value = rest.first {
                leading.append(value)
                rest = rest.dropFirst()
            }
        }
        // Options may stand anywhere after the commands, except behind "--", which ends them.
        let end = rest.firstIndex(of: "--") ?? rest.endIndex
        return rest[..<end] + leading + rest[end...]
    }

    private static func isGlobal(_ argument: String) -> Bool {
        argument == "--root" || argument.hasPrefix("--root=")
            || ["-v", "--verbose", "-q", "--quiet"].contains(argument)
    }
}
