import Applying
import Devices
import Platform

/// A call just as the units make it, `--boot VM` or its like, perhaps behind `--root=DIR`.
///
/// It is the one that somebody waits for, and to set up the argument parser takes longer than all the rest when the VM has no
/// devices. Every other call, and every wrong one, is the parser's.
struct UnitCall {
    private let occasion: Program.Occasion
    private let vm: VMName
    private let root: Root

    /// Takes the words that the program was called with, its name first.
    init?(_ words: [String]) {
        var words = words.dropFirst()
        var root = "/"
        if let word = words.first, word.hasPrefix("--root=/") {
            root = String(word.dropFirst("--root=".count))
            words = words.dropFirst()
        }
        guard words.count == 2, let name = words.last, let vm = try? VMName(name), !vm.isHost else { return nil }
        switch words.first {
        case "--prepare": occasion = .prepare
        case "--boot": occasion = .boot
        case "--describe": occasion = .describe
        case "--release": occasion = .release
        default: return nil
        }
        self.vm = vm
        self.root = Root(root)
    }

    /// Does it, and answers how the program ends.
    func run() -> Sysexit { Program(root: root, name: "vmdev-apply").run(vm, occasion) }
}
