import Applying
import ArgumentParser
import Devices
import Platform

struct VMDevApply: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "vmdev-apply",
        abstract: "Give a VM the devices that are assigned to it, or keep it from starting.",
        usage: """
            vmdev-apply [--prepare | --boot | --check | --release] [--root=<dir>] <vm>
            vmdev-apply --describe [--root=<dir>] <vm>
            vmdev-apply --replug=<device> [--root=<dir>]
            vmdev-apply --source-up=<vm> | --source-changed=<vm> | --announced [--root=<dir>]
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
            69 a required device is not available; 73 it is taken by another VM or by the host; 74 the hypervisor \
            refused; 75 the VM cannot be reached in time; 77 no permission; 78 a setting, or the VM's own arguments, have \
            to be changed.
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

    @Flag(
        help: "Print the description with which libvirt has to start the VM; nothing if it can start it as it is.")
    var describe = false

    @Option(
        help: ArgumentHelp(
            "A device was plugged in: attach it to the VMs that run and have it assigned.",
            discussion: "By class and number, such as usb:189:4, block:8:16 or mic:116:7.", valueName: "device"),
        transform: { try Plug(parsing: $0) })
    var replug: Plug?

    @Option(
        help: ArgumentHelp(
            "A source VM comes up: once it answers, attach what VMs that run have assigned of it.", valueName: "vm"),
        transform: { try VMName($0) })
    var sourceUp: VMName?

    @Option(
        help: ArgumentHelp("Something has changed in a source VM, or it has ended: look what.", valueName: "vm"),
        transform: { try VMName($0) })
    var sourceChanged: VMName?

    @Flag(help: "Source VMs have called at the socket that systemd passes: look what has changed there.")
    var announced = false

    @Option(help: ArgumentHelp("Where etc, run, sys and dev are.", valueName: "dir"))
    var root = "/"

    @Argument(help: "The VM.", transform: { try VMName($0) })
    var vm: VMName?

    func validate() throws {
        let findsVMs = [replug != nil, sourceUp != nil, sourceChanged != nil, announced].count { $0 }
        if [prepare, boot, check, release, describe].count(where: { $0 }) + findsVMs > 1 {
            throw ValidationError(
                """
                --prepare, --boot, --check, --release, --describe, --replug, --source-up, --source-changed and --announced exclude \
                each other.
                """)
        }
        if findsVMs > 0 && vm != nil {
            throw ValidationError("The VMs that have something assigned are found by themselves; name none.")
        }
        if findsVMs == 0 && vm == nil { throw ValidationError("Name a VM.") }
        for name in [vm, sourceUp, sourceChanged] where name?.isHost == true {
            throw ValidationError("dom0 is the host itself; name a VM.")
        }
        if !root.hasPrefix("/") { throw ValidationError("--root takes an absolute path.") }
    }

    func run() throws { throw ExitCode(status().rawValue) }

    private func status() -> Sysexit {
        let program = Program(root: Root(root), name: "vmdev-apply")
        if let replug { return program.replug(replug) }
        if let sourceUp { return program.sourceUp(sourceUp) }
        if let sourceChanged { return program.sourceChanged(sourceChanged) }
        if announced { return program.announced() }
        guard let vm else { return .usage }
        let occasions: [(Bool, Program.Occasion)] = [
            (prepare, .prepare), (boot, .boot), (check, .check), (release, .release), (describe, .describe),
        ]
        return program.run(vm, occasions.first { $0.0 }?.1 ?? .byHand)
    }
}
