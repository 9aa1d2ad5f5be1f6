internal import Devices
private import Hypervisors
public import Platform
private import Settings

/// How the program was called: its name chooses the class, and options that stand before the class go where the
/// command that takes them stands.
public struct Invocation: Sendable {
    /// What follows the program's name, with the class in front.
    public let arguments: [String]
    /// The name that it was called by, without its folder.
    public let program: String

    /// Where etc, run, sys and dev are, as the arguments say.
    public var root: Root { Suggestions.root(in: arguments) }

    /// Whether it was called by a name of Qubes OS's own tools, on Qubes OS: it then ends as they do and stores what they
    /// would store.
    public var isQubesTool: Bool {
        guard program.hasPrefix("qvm-") else { return false }
        switch (try? Settings(root: root))?.hypervisor ?? .auto {
        case .qubes: return true
        case .auto: return QubesAdmin.isPresent(root: root)
        case .qemu, .libvirt: return false
        }
    }

    /// The exit status with which Qubes OS's own tools end where ours end with `status`: 2 for what was not understood, 1 for
    /// what was not done.
    public static func qubesStatus(_ status: Int32) -> Int32 {
        switch status {
        case 0: 0
        case 64: 2
        default: 1
        }
    }

    /// Takes argv: `qvm-block list` means `block list`; `qvm-device` and `vmdevctl` are followed by a class.
    public init(_ argv: [String]) {
        let program = argv.first?.split(separator: "/").last.map(String.init) ?? ""
        self.program = program.isEmpty ? "vmdevctl" : program
        var (globals, rest) = Invocation.leadingGlobals(argv.dropFirst())
        if program.hasPrefix("qvm-"), let named = DeviceClass(rawValue: String(program.dropFirst(4))) {
            rest = [named.rawValue] + rest
        }
        guard let first = rest.first, DeviceClass(rawValue: first) != nil else {
            arguments = Invocation.joined(Array(rest), globals)
            return
        }
        let (more, actionAndRest) = Invocation.leadingGlobals(rest.dropFirst())
        globals += more
        arguments = Invocation.joined([first] + Invocation.actionFirst(actionAndRest), globals)
    }

    /// The options that every command takes, as far as they stand in front.
    private static func leadingGlobals(_ arguments: ArraySlice<String>) -> ([String], ArraySlice<String>) {
        var leading: [String] = []
        var rest = arguments
        while let next = rest.first, isGlobal(next) {
            leading.append(next)
            rest = rest.dropFirst()
            if next == "--root", let value = rest.first {
                leading.append(value)
                rest = rest.dropFirst()
            }
        }
        return (leading, rest)
    }

    /// `-s list` becomes `list -s`: otherwise `list` would be taken for the name of a VM to list.
    private static func actionFirst(_ arguments: ArraySlice<String>) -> [String] {
        let actions = ["list", "attach", "detach", "assign", "unassign", "info"]
        guard arguments.first?.hasPrefix("-") == true,
            let index = arguments.firstIndex(where: { !$0.hasPrefix("-") }), actions.contains(arguments[index])
        else { return Array(arguments) }
        return [arguments[index]] + arguments[..<index] + arguments[arguments.index(after: index)...]
    }

    /// Options may stand anywhere after the commands, except behind "--", which ends them.
    private static func joined(_ arguments: [String], _ globals: [String]) -> [String] {
        let end = arguments.firstIndex(of: "--") ?? arguments.endIndex
        return arguments[..<end] + globals + arguments[end...]
    }

    private static func isGlobal(_ argument: String) -> Bool {
        argument == "--root" || argument.hasPrefix("--root=")
            || ["-v", "--verbose", "-q", "--quiet"].contains(argument)
    }
}
