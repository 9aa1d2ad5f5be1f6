import Applying
import ArgumentParser
import Exporting
import Platform

@main
struct VMDevExport: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "vmdev-export",
        abstract: "Exports devices of this machine, a source VM, to other VMs of its host.",
        discussion: """
            Serves one request on standard input and output, as systemd starts it for each connection to \
            vmdev-export.socket. An export lasts as long as its connection. The host names this VM in its vmdev.conf:

              [Source sys-usb]
              Address=vsock:3:4900

            Needs qemu-nbd (Debian: qemu-utils) for disks and usbredirect for USB devices.
            """)

    @Option(help: ArgumentHelp("Where etc, run, sys and dev are.", valueName: "dir"))
    var root = "/"

    func validate() throws {
        if !root.hasPrefix("/") { throw ValidationError("--root takes an absolute path.") }
    }

    func run() throws {
        guard let input = Descriptor.standardInput, let output = Descriptor.standardOutput else {
            throw ValidationError("standard input and output have to be open.")
        }
        throw ExitCode(ExportSession(root: Root(root), input: input, output: output).run().rawValue)
    }
}
