import ArgumentParser
import Control
import Devices

/// `vmdevctl CLASS assign`.
struct AssignCommand<Tag: ClassTag>: ParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: "assign",
            abstract: "Store that a VM gets a \(Tag.deviceClass) device at each of its starts.",
            discussion: """
                A running VM is not touched. The device need not be there; if it is, its identity is stored with its \
                port, so that no other device is taken for it.

                \(optionHelp(Tag.self))
                """,
            aliases: ["s"])
    }

    @OptionGroup var global: GlobalOptions
    @OptionGroup var attaching: AttachOptions

    @Flag(name: .shortAndLong, help: "Without the device the VM does not start (the default).")
    var required = false

    @Flag(help: "Without the device the VM starts all the same, with a warning in the journal.")
    var autoAttach = false

    @Flag(help: "Qubes OS asks its user once the device is there; the VM starts without it.")
    var ask = false

    @Flag(help: "Whatever is plugged in that port.")
    var port = false

    @Flag(name: .customLong("device"), help: "That device, wherever it is plugged.")
    var byIdentity = false

    @Argument(help: ArgumentHelp("The VM that gets it.", valueName: "vm"), completion: .vms)
    var target: String

    @Argument(
        help: ArgumentHelp("The device.", valueName: "source:port[:identity]"), completion: .devices(Tag.self))
    var device: String

    func validate() throws {
        if [required, autoAttach, ask].filter({ $0 }).count > 1 {
            throw ValidationError("--required, --auto-attach and --ask exclude each other.")
        }
        if port && byIdentity { throw ValidationError("--port and --device exclude each other.") }
    }

    /// Qubes OS's own tools store what is not said to be required as auto-attach, but PCI devices.
    private func mode(_ session: Session) -> AssignmentMode {
        if ask { return .askToAttach }
        if autoAttach { return .autoAttach }
        return session.isQubesTool && !required && Tag.deviceClass != .pci ? .autoAttach : .required
    }

    func run() throws {
        try global.perform { session in
            session.note(
                try session.controller().assign(
                    try reference(device, Tag.self), to: try vmName(target),
                    mode: mode(session),
                    options: try attaching.checked(for: Tag.deviceClass),
                    pin: port ? .port : byIdentity ? .identity : .both))
        }
    }
}

/// `vmdevctl CLASS unassign`.
struct UnassignCommand<Tag: ClassTag>: ParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: "unassign", abstract: "Remove a stored assignment; a running VM is not touched.",
            discussion: "Without a device: all of the class. The device itself need not be there any more.",
            aliases: ["u"])
    }

    @OptionGroup var global: GlobalOptions

    @Flag(help: "Only an assignment by the port, whatever is plugged there.")
    var port = false

    @Flag(name: .customLong("device"), help: "Only an assignment by the identity, wherever it is plugged.")
    var byIdentity = false

    @Argument(help: ArgumentHelp("The VM that was to get it.", valueName: "vm"), completion: .vms)
    var target: String

    @Argument(
        help: ArgumentHelp("The device.", valueName: "source:port[:identity]"),
        completion: .devicesOfVM(Tag.self))
    var device: String?

    func validate() throws {
        if port && byIdentity { throw ValidationError("--port and --device exclude each other.") }
    }

    func run() throws {
        try global.perform { session in
            let removed = try session.controller().unassign(
                try device.map { try reference($0, Tag.self) }, of: Tag.deviceClass, from: try vmName(target),
                only: port ? .port : byIdentity ? .identity : .both)
            for assignment in removed {
                session.note(
                    "VM \(assignment.target): \(Tag.deviceClass) device \(assignment.device) is not assigned any more."
                )
            }
        }
    }
}
