import Applying
import Glibc
import Platform

@main
enum VMDevApply {
    static func main() {
        guard let words = programArguments() else { end(.usage, missingArgumentsMessage) }
        do throws(Arguments.Fault) {
            switch try Arguments.job(of: words.dropFirst()) {
            case .help: writeStandardOutput(help)
            case .work(let vm, let occasion, let root): end(program(root).run(vm, occasion))
            case .replug(let plug, let root): end(program(root).replug(plug))
            case .sourceUp(let source, let root): end(program(root).sourceUp(source))
            case .sourceChanged(let source, let root): end(program(root).sourceChanged(source))
            case .announced(let root): end(program(root).announced())
            }
        } catch {
            end(.usage, "\(error.message).\n\(usage)\n'vmdev-apply --help' says more.")
        }
    }

    private static func program(_ root: String) -> Program { Program(root: Root(root), name: "vmdev-apply") }

    private static func end(_ status: Sysexit, _ message: String? = nil) -> Never {
        if let message { writeStandardError("vmdev-apply: \(message)\n") }
        exit(status.rawValue)
    }
}

private let usage = """
    Usage: vmdev-apply [--prepare | --boot | --check | --release] [--root=<dir>] <vm>
           vmdev-apply --describe [--root=<dir>] <vm>
           vmdev-apply --replug=<device> [--root=<dir>]
           vmdev-apply --source-up=<vm> | --source-changed=<vm> | --announced [--root=<dir>]
    """

private let help = """
    Give a VM the devices that are assigned to it, or keep it from starting.

    The VM has to be paused before its first instruction (QEMU: -S), with a QMP socket of our own. Every required device is
    attached and verified, then the VM is let go. If one of them cannot be had, the VM is ended before it has run, and the
    reason is told in the journal or on standard error.

    A VM's own unit calls it: ExecStartPost=+/usr/lib/vmdev/vmdev-apply --boot %i
    On Qubes OS --prepare comes before the start (ExecStartPre=), and --boot after it.

    By hand, on a VM that is up, it attaches what is missing and leaves the VM alone. A udev rule calls it with --replug for
    a device that is plugged in: VMs that run and have it assigned get it.

    Exit status: 0 all is well; 64 wrong arguments; 65 the assignments are wrong, or ask for what cannot be;
    69 a required device is not available; 73 it is taken by another VM or by the host; 74 the hypervisor refused; 75 the VM
    cannot be reached in time; 77 no permission; 78 a setting, or the VM's own arguments, have to be changed.

    \(usage)

    ARGUMENTS:
      <vm>                    The VM.

    OPTIONS:
      --prepare               The VM's unit is about to start it: fail if a required device cannot be had (Qubes OS;
                              --boot comes after it).
      --boot                  The VM's unit is starting: wait for its socket, and end the VM if a required device fails.
      --check                 Say what the next start would come to, with its exit status, and change nothing.
      --release               The VM has ended: see that its devices are free.
      --describe              Print the description with which libvirt has to start the VM; nothing if it can start it as
                              it is.
      --replug <device>       A device was plugged in: attach it to the VMs that run and have it assigned.
                              By class and number, such as usb:189:4, block:8:16 or mic:116:7.
      --source-up <vm>        A source VM comes up: once it answers, attach what VMs that run have assigned of it.
      --source-changed <vm>   Something has changed in a source VM, or it has ended: look what.
      --announced             Source VMs have called at the socket that systemd passes: look what has changed there.
      --root <dir>            Where etc, run, sys and dev are. (default: /)
      -h, --help              Show help information.

    """
