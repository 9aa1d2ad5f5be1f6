internal import Devices
internal import Platform
internal import Systemd

/// The USB devices of this host, hubs left out.
struct HostUSBDevices: HostClass {
    /// Where /sys, /run and /dev are; /sys but for what libsystemd reads, which knows only the kernel's own.
    let root: Root

    /// How long a claim waits for one who has a disk of the device for no reason that is known.
    let patience: Duration

    /// All of them, in the order of their ports.
    func devices() throws(SourceError) -> [Device] {
        let all: [SystemDevice]
        do { all = try DeviceEnumeration(subsystem: "usb").devices.filter { $0.devtype == "usb_device" } } catch {
            throw SourceError(error)
        }
        guard !all.isEmpty else { return [] }
        let inventory = USBInventory(root: root, dependents: try HostDependents(root: root))
        let udevRuns = udevRuns
        return all.compactMap { device -> Device? in
            // While udev works on a device, its disks and drivers are still coming.
            guard let path = device.syspath, !udevRuns || device.isInitialized else { return nil }
            return inventory.device(USBFolder(path: root.path(path)), names: udevRuns ? names(of: device) : .init())
        }.sorted { $0.port < $1.port }
    }

    /// What is known of a port in which there is no device to give away.
    func absence(of port: Port) -> String? {
        guard let folder = USBFolder(port: port, root: root) else { return nil }
        if let unfit = folder.unfit { return unfit }
        let isReady = ((try? SystemDevice.named(port.description, in: "usb")) ?? nil)?.isInitialized ?? true
        return udevRuns && !isReady ? "udev has not finished with the device in \(port) yet" : nil
    }

    /// By what the kernel has in the port now, whether udev knows it yet or not.
    func hasGone(_ sequence: UInt64, from port: Port) -> Bool {
        do {
            let folder = USBFolder(path: try resolved(root.path("/sys/bus/usb/devices/\(port)")))
            return folder.number.map { UInt64($0.minor) != sequence } ?? false
        } catch {
            return error.isMissing
        }
    }

    private var udevRuns: Bool { UdevDatabase(root: root) != nil }

    private func names(of device: SystemDevice) -> USBInventory.Names {
        USBInventory.Names(
            vendor: device.property("ID_VENDOR_FROM_DATABASE"), product: device.property("ID_MODEL_FROM_DATABASE"))
    }
}
