import Applying
import ArgumentParser
import Control
import Devices
import Platform

@main
struct VMDevCtl: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "vmdevctl",
        abstract: "Give virtual machines their devices, now and at each of their starts.",
        discussion: """
            A device is named SOURCE:PORT or SOURCE:PORT:IDENTITY; 'list' shows them. SOURCE is dom0 for this host. \
            An assignment is stored and holds for every start of the VM; an attachment is what a running VM has now.

              vmdevctl block                                       which disks there are, and who has them
              vmdevctl block attach --persistent work dom0:sdb     'work' gets sdb now and at every start
              vmdevctl block detach work dom0:sdb                  and no longer
              vmdevctl check work                                  what would the next start of 'work' come to?
              vmdevctl log work                                    what came of its starts so far

            Called as qvm-device, qvm-block, qvm-usb, qvm-pci or qvm-mic it takes the arguments of those.
            """,
        version: "0.1.0",
        subcommands: [
            ClassCommand<Block>.self, ClassCommand<USB>.self, ClassCommand<PCI>.self, ClassCommand<Mic>.self,
            CheckCommand.self, LogCommand.self, VerifyCommand.self,
        ])

    static func main() {
        guard let words = programArguments() else {
            writeStandardError("vmdevctl: \(missingArgumentsMessage)\n")
            exit(withError: ExitCode(Sysexit.refused.rawValue))
        }
        let invocation = Invocation(words)
        guard invocation.isQubesTool else { return main(invocation.arguments) }
        exit(withError: ExitCode(runAsQubesTool(invocation.arguments)))
    }

    /// The same with the exit statuses of Qubes OS's own tools.
    private static func runAsQubesTool(_ arguments: [String]) -> Int32 {
        if arguments.first == "--list-device-classes" {
            writeStandardOutput(DeviceClass.allCases.map { "\($0)\n" }.joined())
            return 0
        }
        do {
            var command = try parseAsRoot(arguments)
            try command.run()
            return 0
        } catch {
            let status = exitCode(for: error).rawValue
            let text = fullMessage(for: error)
            if !text.isEmpty { status == 0 ? writeStandardOutput(text + "\n") : writeStandardError(text + "\n") }
            return Invocation.qubesStatus(status)
        }
    }
}
