import Applying
import Devices

/// What `vmdev-apply` was called for.
enum Job {
    case help
    case work(VMName, Program.Occasion, root: String)
    case replug(Plug, root: String)
    case sourceUp(VMName, root: String)
    case sourceChanged(VMName, root: String)
    case announced(root: String)
}

/// The arguments, taken apart by hand: a parser that knows every program's grammar takes longer to start than a VM without
/// assignments takes to be let go.
struct Arguments {
    /// Why they are not understood, as half a sentence.
    struct Fault: Error {
        let message: String
    }

    private var occasions: [String] = []
    private var plug: Plug?
    private var sourceUp: VMName?
    private var sourceChanged: VMName?
    private var isAnnounced = false
    private var root: String?
    private var vm: VMName?
    private var wantsHelp = false

    static func job(of words: some Sequence<String>) throws(Fault) -> Job {
        var arguments = Arguments()
        try arguments.take(Array(words))
        return try arguments.job()
    }

    private mutating func take(_ words: [String]) throws(Fault) {
        var rest = words[...]
        var isName = false
        while let word = rest.popFirst() {
            if isName || !word.hasPrefix("-") {
                guard vm == nil else {
                    throw Fault(message: "'\(printable(word, limit: 80))' is an argument too many")
                }
                vm = try Arguments.read { () throws(SyntaxError) in try VMName(word) }
                continue
            }
            let equals = word.firstIndex(of: "=")
            let name = word[..<(equals ?? word.endIndex)]
            let value = equals.map { String(word[word.index(after: $0)...]) }
            switch (name, value) {
            case ("--", nil): isName = true
            case ("-h", nil), ("--help", nil): wantsHelp = true
            case ("--prepare", nil), ("--boot", nil), ("--check", nil), ("--release", nil), ("--describe", nil):
                occasions.append(String(name))
            case ("--root", _): root = try Arguments.value(of: "--root", value, &rest)
            case ("--replug", _):
                let text = try Arguments.value(of: "--replug", value, &rest)
                plug = try Arguments.read { () throws(SyntaxError) in try Plug(parsing: text) }
            case ("--source-up", _): sourceUp = try Arguments.vm(of: "--source-up", value, &rest)
            case ("--source-changed", _): sourceChanged = try Arguments.vm(of: "--source-changed", value, &rest)
            case ("--announced", nil): isAnnounced = true
            default: throw Fault(message: "there is no option '\(printable(word, limit: 80))'")
            }
        }
    }

    private func job() throws(Fault) -> Job {
        if wantsHelp { return .help }
        let root = root ?? "/"
        guard root.hasPrefix("/") else { throw Fault(message: "--root takes an absolute path") }
        let jobs: [Job] =
            [
                plug.map { .replug($0, root: root) }, sourceUp.map { .sourceUp($0, root: root) },
                sourceChanged.map { .sourceChanged($0, root: root) }, isAnnounced ? .announced(root: root) : nil,
            ].compactMap { $0 }
        if Set(occasions).count + jobs.count > 1 {
            throw Fault(
                message:
                    "--prepare, --boot, --check, --release, --describe, --replug, --source-up, --source-changed and --announced exclude each other"
            )
        }
        if let job = jobs.first {
            guard vm == nil else {
                throw Fault(message: "the VMs that have something assigned are found by themselves; name none")
            }
            return job
        }
        guard let vm else { throw Fault(message: "a VM was expected") }
        guard !vm.isHost else { throw Fault(message: "dom0 is the host itself; name a VM") }
        let occasion: Program.Occasion =
            switch occasions.first {
            case "--prepare": .prepare
            case "--boot": .boot
            case "--check": .check
            case "--release": .release
            case "--describe": .describe
            default: .byHand
            }
        return .work(vm, occasion, root: root)
    }

    private static func value(
        of name: String, _ value: String?, _ rest: inout ArraySlice<String>
    ) throws(Fault) -> String {
        guard let text = value ?? rest.popFirst() else { throw Fault(message: "\(name) needs a value") }
        return text
    }

    private static func vm(
        of name: String, _ value: String?, _ rest: inout ArraySlice<String>
    ) throws(Fault) -> VMName {
        let text = try Arguments.value(of: name, value, &rest)
        let vm = try Arguments.read { () throws(SyntaxError) in try VMName(text) }
        guard !vm.isHost else { throw Fault(message: "dom0 is the host itself; name a VM") }
        return vm
    }

    private static func read<Value>(_ read: () throws(SyntaxError) -> Value) throws(Fault) -> Value {
        do { return try read() } catch { throw Fault(message: error.description) }
    }
}
