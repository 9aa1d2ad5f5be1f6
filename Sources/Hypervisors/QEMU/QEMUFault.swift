internal import Devices
internal import Platform

extension QEMUVM {
    /// QEMU's refusal of an attachment in our words; a text that we do not know is shown as it is.
    func fault(attaching request: AttachRequest, _ error: QMPError, claim: Descriptor) -> HypervisorError {
        if error.says("Failed to get"), error.says("lock") {
            let device = request.device.name
            let holder = DiskUser.find(of: claim, besides: process?.pid)
            return HypervisorError(
                .taken, "\(device) is in use by another QEMU process\(holder.map { " (\($0))" } ?? "")",
                remedy: "Shut that VM down, or detach \(device) from it")
        }
        return fault(attaching: request, error)
    }

    /// The same for a device on which we have no claim.
    func fault(attaching request: AttachRequest, _ error: QMPError) -> HypervisorError {
        let device = request.device.name
        let what = "asked to attach \(device)"
        guard case .server(let kind, let text) = error else { return failure(what, error) }
        if kind == "CommandNotFound" {
            return HypervisorError(
                .unsupported, "VM \(name), \(what): its QEMU is too old: \(error)", remedy: "Use QEMU 7.2 or later")
        }
        let faults = (request.device.source.isHost ? [] : QEMUFault.served) + QEMUFault.all
        let known = faults.first { fault in
            text.contains(fault.text) && (fault.also.map { text.contains($0) } ?? true)
        }
        guard let known else { return failure(what, error) }
        return HypervisorError(
            known.kind, "VM \(name): \(device) \(known.message) (\(error))", remedy: known.remedy)
    }
}

/// A text of QEMU's and what it means to the user.
private struct QEMUFault {
    let text: String
    /// What it says as well.
    var also: String?
    let kind: HypervisorError.Kind
    /// Continues "dom0:sda …".
    let message: String
    var remedy: String?

    /// What it says of a disk that another VM serves.
    static let served = [
        // AppArmor's abstraction for the QEMUs of libvirt has IP alone (Debian 12).
        QEMUFault(
            text: "Failed to create socket", kind: .forbidden,
            message: "cannot be had: its QEMU may not use the kind of socket by which its source VM is reached",
            remedy:
                "Where AppArmor confines it, put 'network vsock stream,' into /etc/apparmor.d/local/abstractions/libvirt-qemu"
        ),
        QEMUFault(
            text: "Failed to connect", also: "Permission denied", kind: .forbidden,
            message: "cannot be had: its QEMU may not use the socket of its source VM",
            remedy: "Let the user that its QEMU runs as have that socket"),
        QEMUFault(
            text: "Permission denied", kind: .refused,
            message: "cannot be had: its source VM serves it for reading only", remedy: "Use read-only=yes"),
        QEMUFault(
            text: "cancelled by timeout", kind: .refused,
            message: "cannot be had: its source VM does not serve it in time",
            remedy: QEMUFault.look),
        QEMUFault(
            text: "initial magic", kind: .refused, message: "cannot be had: what its source VM serves is no disk",
            remedy: QEMUFault.look),
    ]

    private static let look = "Look into the journal of vmdev-export in the source VM"

    static let all = [
        QEMUFault(
            text: "Permission conflict on node", kind: .taken, message: "is in use by another disk of the same VM",
            remedy: "Take the other disk from the VM's command line"),
        QEMUFault(
            text: "Duplicate", kind: .refused, message: "or another device of its name is attached already",
            remedy: "Detach it first"),
        QEMUFault(
            text: "Failed to connect to", kind: .refused, message: "cannot be had: its source VM does not serve it",
            remedy: QEMUFault.look),
        QEMUFault(text: "No such file or directory", kind: .refused, message: "has gone"),
        QEMUFault(text: "No such device", kind: .refused, message: "has gone"),
        QEMUFault(
            text: "does not support hotplugging", kind: .noRoom,
            message: "cannot be plugged in there while the VM is on",
            remedy: "Give the VM a free pcie-root-port"),
        QEMUFault(
            text: "in use by", kind: .noRoom, message: "cannot be plugged in: its place was taken meanwhile",
            remedy: "Try again"),
        QEMUFault(
            text: "is not a valid device model", kind: .unsupported,
            message: "needs a device model that this QEMU lacks",
            remedy: "Install the QEMU package that has it"),
        QEMUFault(
            text: "Unknown driver", kind: .unsupported, message: "needs a block driver that this QEMU lacks",
            remedy: "Install the QEMU package that has it"),
        QEMUFault(text: "Permission denied", kind: .forbidden, message: "may not be opened by QEMU in that mode"),
        QEMUFault(text: "is read-only", kind: .refused, message: "cannot be written", remedy: "Use read-only=yes"),
        QEMUFault(
            text: "Block node is read-only", kind: .refused, message: "cannot be written",
            remedy: "Use read-only=yes"),
    ]
}
