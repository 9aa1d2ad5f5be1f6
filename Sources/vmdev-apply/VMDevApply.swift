import Applying
import ArgumentParser
import Devices
import Platform
import Settings

@main
struct VMDevApply: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "vmdev-apply",
        abstract: "Give a VM the devices that are assigned to it, or keep it from starting.",
        usage: """
            vmdev-apply [--prepare | --boot | --check | --release] [--root=<dir>] <vm>
            vmdev-apply --replug=<device> [--root=<dir>]
            """,
        discussion: """
            The VM has to be paused before its first instruction (QEMU: -S), with a QMP socket of our own. Every \
            required device is attached and verified, then the VM is let go. If one of them cannot be had, the VM is \
            ended before it has run, and the reason is told in the journal or on standard error.

            A VM's own unit calls it: ExecStartPost=+/usr/lib/vmdev/vmdev-apply --boot %i
            On Qubes OS --prepare comes before the start (ExecStartPre=), and --boot after it.

            By hand, on a VM that is up, it attaches what is missing and leaves the VM alone. A udev rule calls it with \
            --replug for a device that is plugged in: VMs that run and have it assigned get it.

            Exit status: 0 all is well; 64 wrong arguments; 65 the assignments are wrong, or ask for what cannot be; \
            69 a required device is not available; 73 it is taken by another VM or by the host; 74 the hypervisor refused; 75 the VM cannot \
            be reached in time; 77 no permission; 78 a setting, or the VM's own arguments, have to be changed.
            """)

    @Flag(help: "The VM's unit is starting: wait for its socket, and end the VM if a required device fails.")
    var boot = false

    @Flag(
        help:
            "The VM's unit is about to start it: fail if a required device cannot be had (Qubes OS; --boot comes after it)."
    )
    var prepare = false

    @Flag(help: "Say what the next start would come to, with its exit status, and change nothing.")
    var check = false

    @Flag(help: "The VM has ended: see that its devices are free.")
    var release = false

    @Option(
        help: ArgumentHelp(
            "A device was plugged in: attach it to the VMs that run and have it assigned.",
            discussion: "By class and number, such as usb:189:4, block:8:16 or mic:116:7.", valueName: "device"),
        transform: { try Plug(parsing: $0) })
    var replug: Plug?

    @Option(help: ArgumentHelp("Where etc, run, sys and dev are.", valueName: "dir"))
    var root = "/"

    @Argument(help: "The VM.", transform: { try VMName($0) })
    var vm: VMName?

    func validate() throws {
        if [prepare, boot, check, release, replug != nil].count(where: { $0 }) > 1 {
            throw ValidationError("--prepare, --boot, --check, --release and --replug exclude each other.")
        }
        if (vm == nil) == (replug == nil) {
            throw ValidationError(vm == nil ? "Name a VM." : "--replug finds the VMs by itself; name none.")
        }
        if vm?.isHost == true { throw ValidationError("dom0 is the host itself; name a VM.") }
        if !root.hasPrefix("/") { throw ValidationError("--root takes an absolute path.") }
    }

    func run() throws {
        let occasion: Program.Occasion =
            prepare ? .prepare : boot ? .boot : check ? .check : release ? .release : .byHand
        let program = Program(root: Root(root), name: "vmdev-apply")
        let status = replug.map(program.replug) ?? vm.map { program.run($0, occasion) } ?? .usage
        throw ExitCode(status.rawValue)
    }
}
