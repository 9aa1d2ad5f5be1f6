import Applying
import ArgumentParser
import Control

/// `vmdevctl check`.
struct CheckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check", abstract: "Say what the next start of a VM would come to, and change nothing.",
        discussion: "Without a VM: of all that have assignments. The exit status is the one of the start itself.")

    @OptionGroup var global: GlobalOptions
    @OptionGroup var output: OutputOptions

    @Argument(help: ArgumentHelp("The VM.", valueName: "vm"), completion: .vms)
    var target: String?

    func run() throws {
        try global.perform { session in
            let target = try target.map(vmName)
            let controller = try session.controller()
            let status: Sysexit
            if output.json == .off {
                status = try controller.check(target)
            } else {
                let (text, worst) = try render(controller.forecasts(target), output.json)
                session.answer(text)
                status = worst
            }
            if status != .success { throw status }
        }
    }
}

/// `vmdevctl verify`.
struct VerifyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify", abstract: "Say whether the assignment table is sound, line by line.")

    @OptionGroup var global: GlobalOptions

    func run() throws {
        try global.perform { session in
            let (text, problems) = try session.controller().verify()
            for problem in problems { session.complain(problem) }
            session.note(text)
            if !problems.isEmpty { throw Failure("the table is not sound", remedy: nil, status: .tableWrong) }
        }
    }
}
