internal import Devices
internal import Platform

/// Describes the block devices of this host.
struct BlockInventory {
    /// Where /sys and /dev are.
    let root: Root
    /// What the host does with them.
    let usage: HostUsage

    /// A device as a VM could get it; nil for one that is none to give away.
    func device(_ folder: BlockFolder, udev: UdevRecord) -> Device? {
        guard folder.unfit == nil, let port = folder.port, let number = folder.number, let size = folder.size,
            let isReadOnly = folder.isReadOnly
        else { return nil }
        let partition = folder.partition
        let disk = folder.disk
        return Device(
            .block, source: .host, port: port,
            identities: blockIdentities(
                links: udev.links, backingFile: disk.backingFile, partition: partition),
            title: title(of: folder, udev: udev),
            canonical: BlockStack(root: root, loops: usage.loops).canonical(folder, number),
            uses: usage.uses(of: folder),
            details: .block(
                Device.Block(
                    node: folder.node, number: number, sequence: disk.text("diskseq").flatMap { UInt64($0) },
                    size: size, isReadOnly: isReadOnly,
                    serial: guestSerial(
                        udev.serial ?? disk.serial, name: folder.text("dm/name") ?? port.description,
                        partition: partition),
                    parent: partition == nil ? nil : disk.port)))
    }

    private func title(of folder: BlockFolder, udev: UdevRecord) -> String {
        let disk = folder.disk
        let name: String
        if let file = disk.backingFile {
            name = file
        } else if let volume = folder.text("dm/name") {
            name = volume
        } else {
            // A virtio disk says "0x1af4" for its vendor.
            let vendor = udev.vendor ?? disk.text("device/vendor").flatMap { $0.hasPrefix("0x") ? nil : $0 }
            let model = udev.model ?? disk.text("device/model")
            let words = [vendor, model].compactMap { $0 }.flatMap { $0.split(separator: " ") }
            name = words.isEmpty ? (folder.partition == nil ? "disk" : "partition") : words.joined(separator: " ")
        }
        return udev.label.map { "\(name) (\($0))" } ?? name
    }
}

extension BlockFolder {
    /// Why it is no device to give to a VM; nil when it is one.
    var unfit: String? {
        let name = sysname
        if name.hasPrefix("ram") || name.hasPrefix("zram") { return "\(node) is memory of this host" }
        if text("hidden") == "1" { return "\(node) is one path of a multipath device and is hidden by the kernel" }
        guard let size else { return "the size of \(node) cannot be read" }
        if size > 0 { return isReadOnly == nil ? "whether \(node) can be written cannot be read" : nil }
        if name.hasPrefix("loop"), backingFile == nil { return "\(node) exists but has no backing file" }
        return text("removable") == "1" ? "there is no medium in \(node)" : "\(node) exists but has a size of 0"
    }

    /// The serial number that the kernel tells without udev; the disk's.
    var serial: String? {
        text("serial") ?? text("device/serial")
            ?? (try? contents(of: "\(path)/device/vpd_pg80", limit: 4096)).flatMap(serialNumber(inPage:))
    }
}
