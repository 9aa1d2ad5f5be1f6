import ArgumentParser
import Control
import Devices

/// `vmdevctl CLASS attach`.
struct AttachCommand<Tag: ClassTag>: ParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: "attach", abstract: "Attach a \(Tag.deviceClass) device to a running VM.",
            discussion: """
                With --persistent it is there at every start of the VM as well, or the VM does not start; the VM need \
                not run then.

                \(optionHelp(Tag.self))
                """,
            aliases: ["at", "a"])
    }

    @OptionGroup var global: GlobalOptions
    @OptionGroup var attaching: AttachOptions

    @Flag(name: .shortAndLong, help: "Also at every start of the VM: store it as required.")
    var persistent = false

    @Argument(help: ArgumentHelp("The VM that gets it.", valueName: "vm"), completion: .vms)
    var target: String

    @Argument(
        help: ArgumentHelp("The device.", valueName: "source:port[:identity]"), completion: .devices(Tag.self))
    var device: String

    func run() throws {
        try global.perform { session in
            let notes = try session.controller().attach(
                try reference(device, Tag.self), to: try vmName(target),
                options: try attaching.checked(for: Tag.deviceClass), persistent: persistent)
            for note in notes { session.note(note) }
        }
    }
}

/// `vmdevctl CLASS detach`.
struct DetachCommand<Tag: ClassTag>: ParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: "detach",
            abstract: "Take a \(Tag.deviceClass) device away from a VM, now and for its next starts.",
            discussion: """
                Without a device: all of the class. It ends the attachment and the assignment; 'unassign' ends the \
                assignment alone. The device itself need not be there any more.
                """,
            aliases: ["dt", "d"])
    }

    @OptionGroup var global: GlobalOptions

    @Argument(help: ArgumentHelp("The VM that has it.", valueName: "vm"), completion: .vms)
    var target: String

    @Argument(
        help: ArgumentHelp("The device.", valueName: "source:port[:identity]"),
        completion: .devicesOfVM(Tag.self))
    var device: String?

    func run() throws {
        try global.perform { session in
            let notes = try session.controller().detach(
                try device.map { try reference($0, Tag.self) }, of: Tag.deviceClass, from: try vmName(target))
            for note in notes { session.note(note) }
        }
    }
}
