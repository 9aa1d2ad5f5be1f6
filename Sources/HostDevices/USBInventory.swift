internal import Devices
internal import Platform

/// Describes the USB devices of this host.
struct USBInventory {
    /// Where /sys and /dev are.
    let root: Root
    /// What the host does with what hangs on them.
    let dependents: HostDependents

    /// The names that udev's database has for numbers.
    struct Names {
        var vendor: String?
        var product: String?
    }

    /// A device as a VM could get it; nil for one that is none to give away.
    func device(_ folder: USBFolder, names: Names = Names()) -> Device? {
        guard folder.unfit == nil, let port = folder.port, let bus = folder.bus, let address = folder.address,
            let number = folder.number, let descriptors = folder.descriptors
        else { return nil }
        let parents = PhysicalParents(path: folder.path)
        let stablePort = parents.usb.flatMap { try? DeviceIdentity($0.description) }
        // Of udev's older form only the few who know it by udevadm would make use; it may mean two ports.
        let olderForm = parents.usb.flatMap { try? DeviceIdentity($0.withoutGeneration) }
        let identity = descriptors.identity(serial: folder.text("serial"))
        return Device(
            .usb, source: .host, port: port,
            identities: [identity, stablePort, olderForm == stablePort ? nil : olderForm].compactMap { $0 },
            title: title(of: folder, descriptors, names),
            canonical: CanonicalDevice(key: parents.usb?.key ?? "usb-\(port)", beneath: parents.keys),
            uses: dependents.uses(below: folder.path), cautions: cautions(folder, descriptors),
            details: .usb(
                Device.USB(
                    node: "/dev/bus/usb/\(padded(bus))/\(padded(address))", address: address, number: number,
                    stablePort: stablePort)))
    }

    /// What the device calls itself, else what the database does.
    private func title(of folder: USBFolder, _ descriptors: USBDescriptors, _ names: Names) -> String {
        let maker = folder.text("manufacturer") ?? names.vendor
        let product = folder.text("product") ?? names.product
        // Many a maker begins the product's name with its own.
        let isNamed = maker.flatMap { product?.hasPrefix($0) } ?? false
        let words = [isNamed ? nil : maker, product].compactMap { $0 }.flatMap { $0.split(separator: " ") }
        return words.isEmpty ? (descriptors.isKeyboard ? "keyboard" : "USB device") : words.joined(separator: " ")
    }

    private func cautions(_ folder: USBFolder, _ descriptors: USBDescriptors) -> [String] {
        guard descriptors.isKeyboard else { return [] }
        return hasKeyboard(besides: folder)
            ? ["it is a keyboard of this host, and types in the VM alone from now on"]
            : ["it is this host's only keyboard: nobody can type at its console while the VM has it"]
    }

    private func hasKeyboard(besides folder: USBFolder) -> Bool {
        let serial = (try? Platform.names(in: root.path("/sys/bus/serio/drivers/atkbd"))) ?? []
        if serial.contains(where: { $0.hasPrefix("serio") }) { return true }
        let all = (try? Platform.names(in: root.path("/sys/bus/usb/devices"))) ?? []
        return all.contains { name in
            guard let port = try? Port(name, of: .usb), port != folder.port else { return false }
            return USBFolder(port: port, root: root)?.descriptors?.isKeyboard == true
        }
    }
}

extension USBFolder {
    /// Why it is no device to give to a VM; nil when it is one.
    var unfit: String? {
        guard let port else { return "it is a root hub" }
        if isHub { return "what is in \(port) is a hub: a VM gets what hangs on it (\(port).1, \(port).2, …)" }
        if !isAuthorized {
            return "this host does not allow the device in \(port) (its attribute 'authorized' is 0: USBGuard?)"
        }
        return descriptors == nil ? "the descriptors of the device in \(port) cannot be read" : nil
    }
}

/// Bus and address have three digits in the node's name.
private func padded(_ number: Int) -> String {
    String(repeating: "0", count: max(0, 3 - String(number).utf8.count)) + String(number)
}
