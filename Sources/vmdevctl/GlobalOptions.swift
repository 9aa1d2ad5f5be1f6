import Applying
public import ArgumentParser
public import Control
import Platform

/// What every command takes.
struct GlobalOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Where etc, run, sys and dev are.", valueName: "dir"), completion: .directory)
    var root = "/"

    @Flag(name: .shortAndLong, help: "Tell more; 'list' shows identities.")
    var verbose: Int

    @Flag(name: .shortAndLong, help: "Tell less: only errors.")
    var quiet: Int

    func validate() throws {
        if !root.hasPrefix("/") { throw ValidationError("--root takes an absolute path.") }
    }

    /// Carries a command out; a failure is told on standard error and becomes the exit status.
    func perform(_ body: (Session) throws -> Void) throws {
        let session = Session(
            root: Root(root), verbosity: verbose - quiet, calledBy: Invocation(programArguments() ?? []))
        let status = session.run(body)
        if status != .success { throw ExitCode(status.rawValue) }
    }
}

/// How a listing answers.
struct OutputOptions: ParsableArguments {
    @Option(help: "JSON (pretty, short), or text (off).")
    var json: OutputForm = .off

    @Flag(help: "No heading over the columns; without a terminal there is none anyway.")
    var noLegend = false

    @Flag(help: "Accepted for likeness with systemd's tools; nothing is ever paged.")
    var noPager = false
}

extension OutputForm: ExpressibleByArgument {}
