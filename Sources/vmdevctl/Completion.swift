import ArgumentParser
import Control
import Devices

/// What a shell offers, where the answer depends on the host.
extension CompletionKind {
    /// The names of VMs.
    static var vms: CompletionKind {
        .custom { words, index, _ in Suggestions(line: words, index: index).vms() }
    }

    /// The options of the class.
    static var deviceOptions: CompletionKind {
        .custom { words, index, _ in Suggestions(line: words, index: index).options() }
    }

    /// The devices of a class that are there.
    static func devices<Tag: ClassTag>(_: Tag.Type) -> CompletionKind {
        .custom { words, index, _ in Suggestions(line: words, index: index).devices(of: Tag.deviceClass) }
    }

    /// The devices of a class that the VM has or is to have.
    static func devicesOfVM<Tag: ClassTag>(_: Tag.Type) -> CompletionKind {
        .custom { words, index, _ in Suggestions(line: words, index: index).devicesOfVM(of: Tag.deviceClass) }
    }
}
