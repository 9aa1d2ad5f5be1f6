internal import Devices
internal import Platform

/// One function of a PCI device, by its folder below /sys, read as the kernel shows it.
struct PCIFunction {
    /// Its folder, root included and links resolved.
    let path: String
    /// Its full address ("0000:00:1f.2").
    let address: String

    /// The function of that address; nil when there is none.
    init?(address: String, root: Root) {
        guard let path = try? resolved(root.path("/sys/bus/pci/devices/\(address)")) else { return nil }
        self.path = path
        self.address = address
    }

    /// The function in that port, also where the port is a path from the root bus.
    init?(port: Port, root: Root) {
        guard let path = port.pciPath, let function = PCIFunction.find(path, root: root) else { return nil }
        self = function
    }

    /// The addresses of all functions, in byte order.
    static func addresses(root: Root) throws(SystemCallError) -> [String] {
        do {
            return try names(in: root.path("/sys/bus/pci/devices")).filter(isPCIAddress)
        } catch {
            // A host without a PCI bus.
            if error.isMissing { return [] }
            throw error
        }
    }

    /// Its port.
    var port: Port? { try? Port(address, of: .pci) }

    /// Its path from the root bus, under which Qubes OS knows it; nil for one that is on that bus.
    var pathPort: Port? {
        var forms: [String] = []
        var folder = ""
        var bridge: PCIFunction?
        for name in path.split(separator: "/") {
            folder += "/\(name)"
            guard isPCIAddress(name), let port = try? Port(name, of: .pci) else { continue }
            if let bridge {
                let fields = name.split(separator: ":")
                guard let bus = fields.dropFirst().first.flatMap({ Int($0, radix: 16) }), let place = fields.last,
                    let secondary = bridge.secondaryBus, bus >= secondary
                else { return nil }
                forms.append("\(twoDigits(bus - secondary))_\(place)")
            } else {
                forms.append(port.description)
            }
            bridge = PCIFunction(path: folder, address: String(name))
        }
        return forms.count > 1 ? try? Port(forms.joined(separator: "-"), of: .pci) : nil
    }

    /// The number of the first bus behind a bridge.
    private var secondaryBus: Int? { text("secondary_bus_number").flatMap { Int($0) } }

    /// `vendor:device:subsystem`, of 4, 4 and 8 hexadecimal digits; the subsystem's vendor comes first.
    var identity: DeviceIdentity? {
        guard let vendor = hexadecimal("vendor", 4), let device = hexadecimal("device", 4) else { return nil }
        let subsystem =
            (hexadecimal("subsystem_vendor", 4) ?? "0000") + (hexadecimal("subsystem_device", 4) ?? "0000")
        return try? DeviceIdentity("\(vendor):\(device):\(subsystem)")
    }

    /// Class, subclass and programming interface, 2 digits each ("020000").
    var kind: String { hexadecimal("class", 6) ?? "000000" }

    /// Whether it is a bridge of whatever kind: the host's own, to another PCI bus, or to older ones.
    var isBridge: Bool { kind.hasPrefix("06") || leadsToBus }

    /// Whether there is another PCI bus behind it: its driver works for the host even while a VM has what is there.
    var leadsToBus: Bool { has("pci_bus") }

    /// Whether the firmware showed its messages on it.
    var isBootDisplay: Bool { text("boot_vga") == "1" }

    /// The name of the driver that has it.
    var driver: String? { link("driver") }

    /// The number of its IOMMU group; nil where there is no IOMMU.
    var group: Int? { iommuGroup(of: path) }

    /// Whether the kernel can reset it by itself: only then there is such a file, which in Linux 5.15 and later has the
    /// ways in `reset_method`, perhaps none since an administrator took them.
    var canReset: Bool { has("reset") && (!has("reset_method") || text("reset_method") != nil) }

    /// The physical function of a virtual one (SR-IOV).
    var physicalFunction: String? { link("physfn").flatMap { isPCIAddress($0) ? $0 : nil } }

    /// The other members of its IOMMU group that a driver of the host has, each with that driver.
    ///
    /// Linux gives a group away only when all its members are without a driver, or with one that leaves DMA alone:
    /// VFIO's, pci-stub, and that of PCI bridges.
    var companions: [String] {
        let folder = "\(path)/iommu_group/devices"
        return ((try? names(in: folder)) ?? []).filter { $0 != address }.compactMap { name in
            let member = PCIFunction(path: "\(folder)/\(name)", address: name)
            guard let driver = member.driver, driver != "vfio-pci", driver != "pci-stub", !member.leadsToBus
            else { return nil }
            return "\(printable(name, limit: 64)) (\(printable(driver, limit: 64)))"
        }
    }

    private init(path: String, address: String) {
        self.path = path
        self.address = address
    }

    private func has(_ name: String) -> Bool { (try? FileStatus.ofEntry("\(path)/\(name)")) != nil }

    /// An attribute, a page at most, without the line break at its end; nil when it is not there or is empty.
    private func text(_ attribute: String) -> String? { BlockFolder(path: path).text(attribute) }

    /// The last part of where a link leads.
    private func link(_ name: String) -> String? {
        (try? resolved("\(path)/\(name)"))?.split(separator: "/").last.map(String.init)
    }

    /// The digits of `0x8086`, if there are so many.
    private func hexadecimal(_ attribute: String, _ digits: Int) -> String? {
        guard let text = text(attribute), text.hasPrefix("0x"), text.utf8.count == digits + 2,
            UInt32(text.dropFirst(2), radix: 16) != nil
        else { return nil }
        return text.dropFirst(2).lowercased()
    }

    /// Follows a path from the root bus, in which the numbers that differ from boot to boot do not occur: those of the
    /// buses behind bridges.
    private static func find(_ path: PCIPath, root: Root) -> PCIFunction? {
        var function = PCIFunction(address: path.start, root: root)
        for step in path.steps {
            guard let bridge = function, let secondary = bridge.secondaryBus,
                let segment = bridge.address.split(separator: ":").first
            else { return nil }
            let address = "\(segment):\(twoDigits(secondary + step.offset)):\(step.place)"
            function = PCIFunction(address: address, root: root)
            guard function?.path.hasPrefix(bridge.path + "/") == true else { return nil }
        }
        return function
    }
}

private func twoDigits(_ number: Int) -> String { (number < 16 ? "0" : "") + String(number, radix: 16) }
