internal import CLinux
internal import Devices
internal import Platform

extension HostUSBDevices {
    /// Opens the node that a VM's process will use, and makes sure that it is the device that was listed.
    ///
    /// The kernel lets anybody open the node, so that between VMs our lock is what excludes. Against the host: its disks
    /// are claimed (O_EXCL) as long as the node is open here. QEMU takes the device from the host's drivers as soon as it
    /// has opened it (tried with 7.2: its disk is gone before device_add answers), so that at no moment anything of the
    /// host can mount them; it gives the device back to these drivers when it closes it. Interfaces are not claimed for
    /// QEMU here: then a guest could not choose another configuration of the device (the kernel says EBUSY).
    func claim(
        _ device: Device, for vm: VMName, readOnly: Bool, options: DeviceOptions
    ) throws(SourceError) -> Descriptor? {
        guard let usb = device.usb else {
            throw SourceError(.unreadable, "\(device.name) is not a USB device of this host")
        }
        guard let folder = USBFolder(port: device.port, root: root) else { throw gone(device) }
        let disks = try claimDisks(of: folder, of: device, for: vm)
        do {
            let node = try Descriptor.open(root.path(usb.node), .readWrite)
            try check(node, is: usb, of: device)
            try note(device.port, for: vm)
            return try node.duplicate(keeping: disks)
        } catch let error as SystemCallError {
            throw failure(error, of: device)
        } catch let error as SourceError {
            throw error
        } catch {
            throw SourceError(.unreadable, "cannot open \(device.name): \(error)")
        }
    }

    /// A disk without a medium, or that is gone by now, cannot be mounted.
    private func claimDisks(
        of folder: USBFolder, of device: Device, for vm: VMName
    ) throws(SourceError) -> [Descriptor] {
        let blocks = HostBlockDevices(root: root, patience: patience)
        let usage = try HostUsage(root: root)
        let inventory = BlockInventory(root: root, usage: usage)
        let disks = HostDependents(root: root, usage: usage, network: HostNetwork(ipv4: [], ipv6: [], root: root))
            .disks(below: folder.path).compactMap { inventory.device($0, udev: UdevRecord()) }
        var claims: [Descriptor] = []
        for disk in disks {
            do throws(SourceError) {
                if let claim = try blocks.claim(disk, for: vm, readOnly: true, options: .none) {
                    claims.append(claim)
                }
            } catch {
                switch error.kind {
                case .gone, .noMedium: continue
                case .inUse(let use):
                    let part: Device.Use = if case .part = use { use } else { .part(disk.port, use) }
                    throw SourceError(.inUse(part), "\(device.name) is in use: \(part)", remedy: error.remedy)
                default: throw error
                }
            }
        }
        return claims
    }

    /// By what the open node itself says, and by what sysfs says after it was opened: a device that is plugged out and
    /// in again has another number.
    private func check(_ node: Descriptor, is usb: Device.USB, of device: Device) throws {
        var (major, minor): (UInt32, UInt32) = (0, 0)
        var isBlock: Int32 = 0
        let code = unsafe vmdev_node_number(node.raw, &major, &minor, &isBlock)
        guard code == 0, isBlock == 0, Device.Number(major: major, minor: minor) == usb.number else {
            throw changed(device, "\(usb.node) is not the node of \(usb.number)")
        }
        let said = USBDescriptors(try node.readAll(limit: USBDescriptors.maximumSize))
        guard let folder = USBFolder(port: device.port, root: root), let number = folder.number else {
            throw gone(device)
        }
        guard number == usb.number, folder.address == usb.address else {
            throw changed(device, "it was number \(usb.number) and is number \(number) now")
        }
        let identity = said?.identity(serial: folder.text("serial"))
        guard let identity, identity == device.identities.first else {
            throw changed(device, "it says now that it is \(identity?.description ?? "nothing that is known")")
        }
        if let unfit = folder.unfit { throw changed(device, unfit) }
    }

    private func failure(_ error: SystemCallError, of device: Device) -> SourceError {
        if error.isMissing || error.isUnplugged { return gone(device) }
        return SourceError(
            error.isPermission ? .forbidden : .unreadable, "cannot open \(device.name): \(error.reason)",
            remedy: error.isPermission ? "Run this as root." : nil)
    }

    private func gone(_ device: Device) -> SourceError {
        let why = absence(of: device.port).map { ": \($0)" } ?? ""
        return SourceError(.gone, "\(device.name) has gone\(why)", remedy: "Plug it in again.")
    }

    private func changed(_ device: Device, _ how: String) -> SourceError {
        SourceError(.changed, "\(device.name) changed while it was being claimed: \(how)", remedy: "Try again.")
    }
}
