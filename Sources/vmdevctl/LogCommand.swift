import ArgumentParser
import Control

/// `vmdevctl log`.
struct LogCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "log", abstract: "Tell the starts of a VM, or of all, as the journal has them.",
        discussion: """
            Each start with its time, what became of it, how long it took, and what was said of each device; '!' marks \
            what went wrong. Root and the members of group systemd-journal may read the journal.
            """)

    @OptionGroup var global: GlobalOptions
    @OptionGroup var output: OutputOptions

    @Flag(name: .shortAndLong, help: "Only since this host was booted.")
    var boot = false

    @Option(
        help: ArgumentHelp(
            "Not before this moment: '2026-11-23 10:30', today, yesterday, '2h ago'.", valueName: "time"))
    var since: String?

    @Option(name: [.customShort("n"), .customLong("lines")], help: "At most so many, the newest.")
    var count = 20

    @Argument(help: ArgumentHelp("The VM.", valueName: "vm"), completion: .vms)
    var target: String?

    func validate() throws {
        if count < 1 { throw ValidationError("-n takes a number from 1 on.") }
    }

    func run() throws {
        try global.perform { session in
            let range = LogRange(
                vm: try target.map(vmName), since: try since.map { try TimePoint($0) }, isThisBootOnly: boot,
                limit: count)
            let found = try stories(range, root: session.root)
            if found.isEmpty { session.note("the journal tells of no start\(target.map { " of \($0)" } ?? "").") }
            session.answer(render(found, output.json))
        }
    }
}
