internal import Devices
internal import Platform

/// The PCI functions of this host.
struct HostPCIDevices: HostClass {
    /// Where /sys, /run, /dev and /sbin are.
    let root: Root

    /// How long the kernel may take to change the driver of a function; a driver that is in use may never let go.
    let limit: Duration

    /// The way to the kernel's files.
    var files: any DriverFiles = KernelDriverFiles()

    /// What changes the driver of the function with that address.
    func binding(_ address: String, within limit: Duration? = nil) -> PCIBinding {
        PCIBinding(address: address, root: root, files: files, deadline: Deadline(after: limit ?? self.limit))
    }

    /// All of them, in the order of their ports.
    func devices() throws(SourceError) -> [Device] {
        let inventory = try PCIInventory(root: root)
        do throws(SystemCallError) {
            return try PCIFunction.addresses(root: root)
                .compactMap { PCIFunction(address: $0, root: root).flatMap(inventory.device) }
                .sorted { $0.port < $1.port }
        } catch {
            throw SourceError(error)
        }
    }

    /// The device in the port alone where that settles it; all are listed once at most.
    func candidates(for references: [DeviceReference]) throws(SourceError) -> [[Device]] {
        let inventory = try PCIInventory(root: root)
        var listed: [Device]?
        var found: [[Device]] = []
        for reference in references {
            let inPort = reference.port.flatMap { PCIFunction(port: $0, root: root) }.flatMap(inventory.device)
            if let inPort, reference.identity.map(inPort.identities.contains) ?? true {
                found.append([inPort])
            } else if reference.identity == nil {
                found.append([])
            } else {
                if listed == nil { listed = try devices() }
                found.append(listed ?? [])
            }
        }
        return found
    }

    /// Why the function cannot be given away with what the VM gets besides: no IOMMU, no way to reset it, or others of
    /// its group that the host uses.
    func objection(to device: Device, options: DeviceOptions, together: [Device]) -> SourceError? {
        guard let pci = device.pci else { return nil }
        let name = device.name
        guard let group = pci.group else {
            return SourceError(
                .unfit, "\(name) has no IOMMU group, so that nothing would keep a guest from the host's memory",
                remedy: """
                    Turn the IOMMU on: in the firmware (VT-d, AMD-Vi), and with intel_iommu=on on the kernel's command \
                    line on Intel.
                    """)
        }
        if !pci.canReset, options.flag("no-strict-reset") != true {
            return SourceError(
                .unfit, "\(name) cannot be reset by itself, so that what one guest did to it would reach the next",
                remedy: "If that is no matter, give it the option no-strict-reset=yes.")
        }
        let others = Set(together.compactMap(\.pci?.address))
        let companions = pci.companions.filter { companion in
            !others.contains { companion.hasPrefix("\($0) ") }
        }
        guard companions.isEmpty else {
            return SourceError(
                .inUse(.essential("in a group with what the host uses")),
                """
                \(name) is in IOMMU group \(group), which goes to one VM as a whole, and the host uses others of it: \
                \(companions.joined(separator: ", "))
                """,
                remedy: "Assign those to the same VM too, or take their drivers from them.")
        }
        return nil
    }
}
