internal import Applying
internal import Assignments
public import Devices
internal import HostDevices
internal import Hypervisors
internal import Platform
internal import Settings

/// What a shell offers for the word that is being typed. Nothing is ever told of what goes wrong: a shell in the middle of
/// a line has no place for it, and the command itself will tell.
public struct Suggestions: Sendable {
    /// The words of the command line, the program's name first, without the one that is being typed.
    private let words: [String]
    private let root: Root

    /// Takes the command line as a shell tells it; `index` is that of the word that is being typed.
    public init(line words: [String], index: Int) {
        self.words = Array(words.prefix(max(index, 0)))
        root = Suggestions.root(in: self.words)
    }

    /// The VMs that run, and those that have assignments.
    public func vms() -> [String] {
        guard let controller else { return [] }
        let running = (try? controller.hypervisor.runningVMs()) ?? []
        let assigned = (try? controller.store.allAssignments())?.rows.map(\.assignment.target) ?? []
        return Set(running + assigned).sorted().map(\.description)
    }

    /// The devices of a class that are there to be given, by their ports.
    public func devices(of deviceClass: DeviceClass) -> [String] {
        guard let controller else { return [] }
        if controller.qubes != nil {
            return (try? controller.survey(deviceClass, withAssignments: false))?.devices.map(\.name) ?? []
        }
        return controller.sources.flatMap { (try? $0.devices(of: deviceClass)) ?? [] }.map(\.name)
    }

    /// The devices of a class that the VM on the command line has or is to have, as they were assigned.
    public func devicesOfVM(of deviceClass: DeviceClass) -> [String] {
        guard let controller, let vm = positionals.first.flatMap({ try? VMName($0) }) else { return [] }
        let assigned = (try? controller.store.assignments(of: vm))?.assignments.map(\.device) ?? []
        let attached = ((try? controller.liveRecords(deviceClass)) ?? []).filter { $0.vm == vm }.map(\.device)
        return Set((assigned + attached).filter { $0.deviceClass == deviceClass }.map(\.description)).sorted()
    }

    /// The names of the options of the class on the command line, ready for a value.
    public func options() -> [String] {
        let deviceClass = words.lazy.compactMap { DeviceClass(rawValue: $0) }.first
        return deviceClass.map { OptionRule.rules(of: $0).map { "\($0.key)=" } } ?? []
    }

    private var controller: Controller? {
        guard let settings = try? Settings(root: root) else { return nil }
        return Controller(Host(root: root, settings: settings), reporter: Silence(), refresh: {})
    }

    /// What follows the class and its action and is no option, nor an option's value.
    private var positionals: [String] {
        var result: [String] = []
        var isValue = false
        for word in words.dropFirst() {
            if isValue {
                isValue = false
            } else if word.hasPrefix("-") {
                isValue = ["-o", "--option", "--root"].contains(word)
            } else {
                result.append(word)
            }
        }
        let action = DeviceClass(rawValue: result.first ?? "") == nil ? 0 : 2
        return Array(result.dropFirst(action))
    }

    static func root(in words: [String]) -> Root {
        for (index, word) in words.enumerated() {
            if word.hasPrefix("--root=/") { return Root(String(word.dropFirst(7))) }
            if word == "--root", let path = words.dropFirst(index + 1).first, path.hasPrefix("/") {
                return Root(path)
            }
        }
        return .host
    }
}

private struct Silence: Reporter {
    func report(_ outcome: Outcome) {}
    func progress(_ text: String) {}
}
