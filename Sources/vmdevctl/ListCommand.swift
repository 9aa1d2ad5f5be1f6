import ArgumentParser
import Control
import Devices
import Platform

/// `vmdevctl CLASS list`.
struct ListCommand<Tag: ClassTag>: ParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: "list", abstract: "List the \(Tag.deviceClass) devices that there are, and who uses them.",
            discussion: """
                With VM names: only what those VMs expose or have. In the last column 'work (attached)' is a VM that \
                has the device, 'dom0 (…)' what this host does with it, '*work (…)' a stored assignment.
                """,
            aliases: ["ls", "l"])
    }

    @OptionGroup var global: GlobalOptions
    @OptionGroup var output: OutputOptions

    @Flag(name: .shortAndLong, help: "All VMs; so it is without any VM name.")
    var all = false

    @Option(
        parsing: .upToNextOption, help: ArgumentHelp("Not these VMs; with --all.", valueName: "vm"),
        completion: .vms)
    var exclude: [String] = []

    @Flag(name: [.customShort("s"), .long], help: "Show stored assignments too, those of absent devices included.")
    var assignments = false

    @Flag(
        name: [.customLong("with-sbdf"), .customLong("resolve-paths")],
        help: "Show the full addresses of PCI devices too.")
    var withAddresses = false

    @Argument(help: "The VMs.", completion: .vms)
    var vms: [String] = []

    func validate() throws {
        if !exclude.isEmpty && !all { throw ValidationError("--exclude can only be used with --all.") }
        if all && !vms.isEmpty { throw ValidationError("--all and VM names exclude each other.") }
    }

    func run() throws {
        try global.perform { session in
            let named = try Set(vms.map(vmName))
            let excluded = try Set(exclude.map(vmName))
            let survey = try session.controller().survey(Tag.deviceClass, withAssignments: assignments)
            try survey.check(named.union(excluded).sorted())
            for warning in survey.warnings { session.note(warning) }
            let rows = survey.rows(
                of: named.isEmpty ? nil : named, excluding: excluded, withAssignments: assignments)
            if rows.isEmpty, output.json == .off, standardOutputIsTerminal {
                session.note("\(survey.emptiness(of: named.isEmpty ? nil : named)).")
            }
            session.answer(
                render(
                    rows,
                    ListStyle(
                        form: output.json, hasLegend: standardOutputIsTerminal && !output.noLegend,
                        withAssignments: assignments, withIdentities: global.verbose > 0,
                        withAddresses: withAddresses && Tag.deviceClass == .pci)))
        }
    }
}

/// `vmdevctl CLASS info`.
struct InfoCommand<Tag: ClassTag>: ParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: "info", abstract: "Tell all that is known of a \(Tag.deviceClass) device.", aliases: ["i"])
    }

    @OptionGroup var global: GlobalOptions
    @OptionGroup var output: OutputOptions

    @Argument(
        help: ArgumentHelp("The device.", valueName: "source:port[:identity]"), completion: .devices(Tag.self))
    var device: String

    func run() throws {
        try global.perform { session in
            let wanted = try reference(device, Tag.self)
            session.answer(renderDetails(try session.controller().details(of: wanted), output.json))
        }
    }
}
