internal import CLinux
public import Devices
internal import Glibc
internal import Platform

extension HostBlockDevices {
    /// Opens a block device with O_EXCL: the kernel refuses it while anything of the host has the device, its disk or a
    /// part of it, and afterwards refuses the host for as long as the descriptor lives, in whatever process.
    func claim(
        _ device: Device, for vm: VMName, readOnly: Bool, options: DeviceOptions
    ) throws(SourceError) -> Descriptor? {
        guard let block = device.block else {
            throw SourceError(.unreadable, "\(device.name) is not a block device of this host")
        }
        let descriptor: Descriptor
        do throws(SystemCallError) {
            descriptor = try open(block, readOnly ? [.exclusive] : [.exclusive, .readWrite])
        } catch {
            throw failure(error, of: device, block)
        }
        try check(descriptor, is: block, of: device)
        if !readOnly { try checkIsWritable(descriptor, device) }
        return descriptor
    }

    private func open(_ block: Device.Block, _ options: Descriptor.Options) throws(SystemCallError) -> Descriptor {
        do {
            return try Descriptor.open(root.path(block.node), options)
        } catch {
            guard error.code == EBUSY, use(of: block) == .busy else { throw error }
            return try openPatiently(block, options)
        }
    }

    /// Whoever only looks at a device (udev after any change, btrfs, mdadm, losetup) may have it, its disk or a part of
    /// it to itself for some milliseconds, and says so by closing it.
    private func openPatiently(
        _ block: Device.Block, _ options: Descriptor.Options
    ) throws(SystemCallError) -> Descriptor {
        let deadline = Deadline(after: patience)
        let folder = BlockFolder(number: block.number, root: root)
        let relatives = folder.map { [$0.disk] + $0.partitions } ?? []
        let watch = try FolderWatch(closingOf: [root.path(block.node)] + relatives.map { root.path($0.node) })
        while true {
            do {
                return try Descriptor.open(root.path(block.node), options)
            } catch {
                guard error.code == EBUSY, try watch.next(until: deadline) else { throw error }
            }
        }
    }

    private func check(_ descriptor: Descriptor, is block: Device.Block, of device: Device) throws(SourceError) {
        var (major, minor): (UInt32, UInt32) = (0, 0)
        var isBlock: Int32 = 0
        let code = unsafe vmdev_node_number(descriptor.raw, &major, &minor, &isBlock)
        guard code == 0, isBlock != 0 else {
            throw changed(device, "\(block.node) is not a block device any more")
        }
        let number = Device.Number(major: major, minor: minor)
        guard number == block.number else {
            throw changed(device, "\(block.node) was number \(block.number) and is number \(number) now")
        }

        var size: UInt64 = 0
        let sizeCode = unsafe vmdev_block_size(descriptor.raw, &size)
        guard sizeCode == 0, size > 0 else { throw gone(device) }

        // A kernel before 5.15 knows no sequence: number and size are all there is.
        var sequence: UInt64 = 0
        if let expected = block.sequence, unsafe vmdev_block_sequence(descriptor.raw, &sequence) == 0,
            sequence != expected
        {
            throw changed(device, "another device is at \(block.node) now")
        }
        guard size == block.size else {
            throw changed(device, "it had \(block.size) bytes and has \(size) now")
        }
    }

    /// The kernel opens many a read-only device for writing, and only the writes fail.
    private func checkIsWritable(_ descriptor: Descriptor, _ device: Device) throws(SourceError) {
        var flag: Int32 = 0
        let code = unsafe vmdev_block_read_only(descriptor.raw, &flag)
        guard code == 0 else {
            let error = SystemCallError("ask", device.name, code: code)
            throw SourceError(
                .unreadable, "cannot find out whether \(device.name) can be written: \(error.reason)")
        }
        guard flag == 0 else { throw readOnlyOnly(device) }
    }

    private func failure(_ error: SystemCallError, of device: Device, _ block: Device.Block) -> SourceError {
        switch error.code {
        case EBUSY: inUse(device, block)
        case EROFS: readOnlyOnly(device)
        case EACCES where block.isReadOnly: readOnlyOnly(device)
        case EACCES, EPERM:
            SourceError(.forbidden, "cannot open \(device.name): \(error.reason)", remedy: "Run this as root.")
        case ENOMEDIUM:
            SourceError(.noMedium, "there is no medium in \(device.name)", remedy: "Insert one.")
        case ENXIO, ENODEV, ENOENT: gone(device)
        default: SourceError(.unreadable, "cannot open \(device.name): \(error.reason)")
        }
    }

    private func use(of block: Device.Block) -> Device.Use {
        let folder = BlockFolder(number: block.number, root: root)
        return (try? HostUsage(root: root)).flatMap { usage in folder.flatMap { usage.uses(of: $0).first } }
            ?? .busy
    }

    private func inUse(_ device: Device, _ block: Device.Block) -> SourceError {
        let use = use(of: block)
        let what = use == .busy ? use.description : "in use: \(use)"
        return SourceError(.inUse(use), "\(device.name) is \(what)", remedy: use.remedy(for: block.node))
    }

    private func readOnlyOnly(_ device: Device) -> SourceError {
        SourceError(
            .readOnlyOnly, "\(device.name) can only be read", remedy: "Give it the option read-only=yes (--ro).")
    }

    private func gone(_ device: Device) -> SourceError {
        let why = absence(of: device.port).map { ": \($0)" } ?? ""
        return SourceError(.gone, "\(device.name) has gone\(why)", remedy: "Plug it in again.")
    }

    private func changed(_ device: Device, _ how: String) -> SourceError {
        SourceError(.changed, "\(device.name) changed while it was being claimed: \(how)", remedy: "Try again.")
    }
}

extension Device.Use {
    /// How to end this use of the device with that node.
    public func remedy(for node: String) -> String {
        switch self {
        case .mounted(let place): "Unmount it (umount \(quoted(place))) and keep the host from mounting it again."
        case .swap: "Stop swapping to it (swapoff \(node))."
        case .holder(let name): "Stop \(name) first."
        case .part(let port, let use): use.remedy(for: "/dev/\(port)")
        case .atSource: "End that use in the source VM."
        case .exported(let vm): "Stop VM \(vm), or detach the device from it."
        case .essential: "Leave it to the host, or give the host another one first."
        case .busy: "Find out who has it open (fuser -v \(node)) and stop that."
        }
    }
}

/// The path as a shell takes it, whatever is in it.
private func quoted(_ path: String) -> String {
    let isPlain = path.utf8.allSatisfy { byte in
        VMName.mayContain(byte) || "/:@+,".utf8.contains(byte)
    }
    return isPlain
        ? path : "'" + path.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
}
