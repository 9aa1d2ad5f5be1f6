internal import Systemd

/// What udev found out about a block device.
struct UdevRecord {
    /// The names of its links under /dev/disk/by-id.
    var links: [String] = []
    /// Its serial number.
    var serial: String?
    /// Its maker.
    var vendor: String?
    /// Its model.
    var model: String?
    /// The label of the file system on it.
    var label: String?

    /// A device that udev knows nothing of.
    init() {}

    /// Takes what concerns us.
    init(_ device: SystemDevice) {
        let folder = "/dev/disk/by-id/"
        links = device.devlinks.filter { $0.hasPrefix(folder) }.map { String($0.dropFirst(folder.utf8.count)) }
        serial = device.property("ID_SERIAL_SHORT") ?? device.property("ID_SERIAL")
        vendor = device.property("ID_VENDOR").map(spaced)
        model = device.property("ID_MODEL").map(spaced)
        label = device.property("ID_FS_LABEL")
    }
}

/// udev writes a space as `_` there.
private func spaced(_ text: String) -> String { String(text.map { $0 == "_" ? " " : $0 }) }
