internal import Devices
internal import Platform
internal import Systemd

/// udev, where it runs.
struct UdevDatabase {
    private let root: Root

    /// Nil where it does not run: its database is then empty or left over from another time.
    init?(root: Root) {
        guard (try? Descriptor.open(root.path("/run/udev/control"), [.path])) != nil else { return nil }
        self.root = root
    }

    /// What it says from now on of devices of these subsystems, once it has finished with them.
    ///
    /// It speaks in the host's network namespace. A unit with PrivateNetwork= has another, but sees what it writes down.
    func listen(to subsystems: Set<String>) throws(SystemCallError) -> any DeviceEvents {
        if isInHostNetwork { return UdevEvents(monitor: try DeviceMonitor(subsystems: subsystems.sorted())) }
        return UdevRecordEvents(watch: try FolderWatch(root.path("/run/udev/data")))
    }

    private var isInHostNetwork: Bool {
        func namespace(of process: String) -> UInt64? {
            (try? Descriptor.open("/proc/\(process)/ns/net", [.path]).status())?.inode
        }
        guard let host = namespace(of: "1"), let own = namespace(of: "self") else { return true }
        return host == own
    }
}

/// What udev says.
private struct UdevEvents: DeviceEvents {
    let monitor: DeviceMonitor

    var descriptor: Int32 { monitor.descriptor }

    func take() throws(SourceError) -> Bool {
        do { return try monitor.take() } catch { throw SourceError(error) }
    }
}

/// What udev writes down, which it does at the end of each event, of all subsystems.
private struct UdevRecordEvents: DeviceEvents {
    let watch: FolderWatch

    var descriptor: Int32 { watch.raw }

    func take() throws(SourceError) -> Bool {
        do { return try watch.next(until: Deadline(after: .zero)) } catch { throw SourceError(error) }
    }
}
