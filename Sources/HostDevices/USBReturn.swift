internal import Devices
internal import Platform

/// Giving USB devices back to the host's drivers.
///
/// QEMU does it itself when it closes a device in good order. A QEMU that is killed leaves the device without any driver,
/// and then a stick would be of no use to the host until it is plugged out and in again (seen with 7.2). So each claim
/// notes for which VM it was, in a file of /run/vmdev/usb named by the port.
extension HostUSBDevices {
    /// Notes for whom a device was claimed.
    func note(_ port: Port, for vm: VMName) throws(SystemCallError) {
        try makeFolders(notes, permissions: 0o700)
        try Descriptor.open("\(notes)/\(port)", [.write, .create, .noFollow], mode: 0o600)
            .replaceContents(with: Array(vm.description.utf8))
    }

    /// Has the host's drivers take a device that the VM had.
    func giveBack(_ port: Port, from vm: VMName) throws(SourceError) { _ = try takeBack(port, from: vm) }

    /// The same for all that were claimed for a VM; answers those that a driver has taken.
    func giveBackAll(from vm: VMName) throws(SourceError) -> [DeviceReference] {
        var given: [DeviceReference] = []
        for name in (try? names(in: notes)) ?? [] {
            guard let port = try? Port(name, of: .usb), try takeBack(port, from: vm) else { continue }
            given.append(DeviceReference(.usb, source: .host, port: port))
        }
        return given
    }

    private var notes: String { root.path("/run/vmdev/usb") }

    /// Answers whether a driver has taken the device now; a note of another VM's, or of none, is left alone.
    private func takeBack(_ port: Port, from vm: VMName) throws(SourceError) -> Bool {
        let note = "\(notes)/\(port)"
        guard let owner = try? contents(of: note, limit: 256), owner == Array(vm.description.utf8) else {
            return false
        }
        guard let folder = USBFolder(port: port, root: root) else {
            remove(noteOf: port)
            return false
        }
        // As long as a process has the lock it may have the device: a driver would take it from under the guest.
        guard !isHeld(folder) else { return false }
        var isTaken = false
        for interface in folder.interfaces where !hasDriver(interface) {
            let name = interface.split(separator: "/").last.map(String.init) ?? ""
            do throws(SystemCallError) {
                try Descriptor.open(root.path("/sys/bus/usb/drivers_probe"), .write).write(Array(name.utf8))
            } catch {
                // The host may have no driver for it; it had none before either.
                guard error.isPermission || error.isReadOnly else { continue }
                throw SourceError(
                    .forbidden, "\(port) cannot be given back to the host's drivers: \(error)",
                    remedy: "Plug it out and in again.")
            }
            if hasDriver(interface) { isTaken = true }
        }
        remove(noteOf: port)
        return isTaken
    }

    /// A note that stays is harmless: it is looked at again, and then there is nothing to do.
    private func remove(noteOf port: Port) {
        try? Descriptor.open(notes, .directory).remove(below: port.description)
    }

    /// Whether the device's lock is held (`LockFolder`): the file has the name of the key.
    private func isHeld(_ folder: USBFolder) -> Bool {
        guard let key = PhysicalParents(path: folder.path).usb?.key,
            let file = try? Descriptor.open(root.path("/run/vmdev/locks/\(key)"), [.noFollow])
        else { return false }
        return (try? file.obstacle(to: .exclusive)) != Descriptor.Lock.none
    }

    private func hasDriver(_ interface: String) -> Bool {
        (try? Descriptor.open("\(interface)/driver", [.path])) != nil
    }
}
