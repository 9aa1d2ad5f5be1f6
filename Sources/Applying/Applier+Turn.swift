internal import Devices
internal import Hypervisors
internal import Platform

extension Applier {
    /// How long one waits for others who work on a VM; each of them is bounded itself.
    private static let patience = Duration.seconds(60)

    /// Connects to a VM that runs and has it for itself. Of several who come unasked, because something was plugged in, one
    /// at a time gets in line: a VM's socket takes no crowd.
    func withTurn(on vm: VMName, _ body: (any RunningVM) throws(Problem) -> Void) throws(Problem) {
        let folder = root.path("/run/vmdev/replug")
        let turn: LockFile?
        do {
            try makeFolders(folder, permissions: 0o700)
            turn = try LockFile.take("\(folder)/\(vm)", until: Deadline(after: Applier.patience))
        } catch {
            throw .unwritable(vm, error)
        }
        guard let turn else {
            throw Problem(
                .busy, nil, "VM \(vm): too many devices were plugged in at once, or the VM does not answer",
                remedy: "Attach what is missing with: /usr/lib/vmdev/vmdev-apply \(vm)")
        }
        let connection: any RunningVM
        do {
            connection = try hypervisor.connect(to: vm, until: Deadline(after: Applier.patience), waiting: false)
        } catch {
            throw Problem(error)
        }
        let lock = try lockVM(vm)
        try body(connection)
        lock.release()
        turn.release()
    }
}
