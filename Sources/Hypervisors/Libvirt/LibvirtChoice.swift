internal import Glibc
internal import Platform
internal import Synchronization
internal import Systemd

/// The way to libvirt: over D-Bus where libvirt-dbus is installed, else by virsh. It is chosen with the first question
/// and kept, so that one run never sees half of its answers over the one and half over the other.
final class LibvirtChoice: Sendable {
    /// Of the bus on which libvirt-dbus may be; nil when there is none.
    private let address: String?
    private let virsh: Virsh
    private let chosen: Mutex<(any LibvirtTransport)?>

    /// `chosen` is a way that was chosen before.
    init(address: String?, virsh: Virsh, chosen: (any LibvirtTransport)? = nil) {
        self.address = address
        self.virsh = virsh
        self.chosen = Mutex(chosen)
    }

    /// The way; chosen now if it was not before. Where D-Bus would be the way but does not let us, there is no other:
    /// what an administrator forbids there is not tried by virsh.
    func transport(by deadline: Deadline) throws(LibvirtFailure) -> any LibvirtTransport {
        try chosen.withLock { chosen throws(LibvirtFailure) in
            if let chosen { return chosen }
            let transport = try overBus(by: deadline) ?? virsh
            chosen = transport
            return transport
        }
    }

    /// nil when libvirt-dbus is not installed or cannot be started.
    private func overBus(by deadline: Deadline) throws(LibvirtFailure) -> (any LibvirtTransport)? {
        guard let address else { return nil }
        let bus: Bus
        do throws(BusError) {
            bus = try Bus(address: address, until: deadline)
            // The bus starts it if it is there to be started.
            let ping = Bus.Method(LibvirtBus.service, "/org/libvirt/QEMU", "org.freedesktop.DBus.Peer", "Ping")
            _ = try bus.call(ping, until: deadline)
        } catch {
            switch error {
            case .noBus(let reason) where reason.isMissing || reason.code == ECONNREFUSED: return nil
            case .answered(let name, _) where LibvirtChoice.isAbsence(name): return nil
            default: throw LibvirtFailure(error)
            }
        }
        return try LibvirtBus(bus, virsh: virsh)
    }

    /// What a bus says when there is nobody of that name and nobody that it could start.
    private static func isAbsence(_ name: String) -> Bool {
        let prefix = "org.freedesktop.DBus.Error."
        return name == prefix + "ServiceUnknown" || name == prefix + "NameHasNoOwner"
            || name.hasPrefix(prefix + "Spawn.")
    }
}
