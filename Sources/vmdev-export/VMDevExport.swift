import Applying
import ArgumentParser
import Devices
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

            Needs qemu-nbd (Debian: qemu-utils) for disks and libusbredirhost (libusbredirhost1) for USB devices.
            """)

    @Option(
        help: ArgumentHelp(
            "Where the host hears that something has changed here, such as vsock:2:4899.", valueName: "address"),
        transform: { try SourceAddress(announcement: $0) })
    var announceTo: SourceAddress?

    @Flag(
        help: "Tell the host that something has changed here, such as a device that was plugged in; nothing else.")
    var announce = false

    @Option(help: ArgumentHelp("Where etc, run, sys and dev are.", valueName: "dir"))
    var root = "/"

    func validate() throws {
        if announce && announceTo == nil { throw ValidationError("--announce needs --announce-to.") }
        if !root.hasPrefix("/") { throw ValidationError("--root takes an absolute path.") }
    }

    func run() throws {
        // A host that has gone is the end of an export, and not of us.
        ignoreBrokenPipes()
        let announcement = announceTo.map(Announcement.init)
        if announce, let announcement { throw ExitCode(announcement.make().rawValue) }
        guard let input = Descriptor.standardInput, let output = Descriptor.standardOutput else {
            throw ValidationError("standard input and output have to be open.")
        }
        throw ExitCode(
            ExportSession(
                root: Root(root), input: input, output: output, announcement: announcement
            ).run().rawValue)
    }
}
