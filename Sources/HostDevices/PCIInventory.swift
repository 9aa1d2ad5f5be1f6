internal import Devices
internal import Platform
internal import Systemd

/// Describes the PCI functions of this host.
struct PCIInventory {
    /// Where /sys, /run and /dev are.
    let root: Root
    private let dependents: HostDependents
    private let udevRuns: Bool

    /// Reads what is the same for all functions at one moment.
    init(root: Root) throws(SourceError) { self.init(root: root, dependents: try HostDependents(root: root)) }

    /// Takes what was read.
    init(root: Root, dependents: HostDependents) {
        self.root = root
        self.dependents = dependents
        udevRuns = (try? Descriptor.open(root.path("/run/udev/control"), [.path])) != nil
    }

    /// A function as a VM could get it.
    func device(_ function: PCIFunction) -> Device? {
        guard let port = function.port else { return nil }
        let group = function.group
        return Device(
            .pci, source: .host, port: port, otherPorts: function.pathPort.map { [$0] } ?? [],
            identities: function.identity.map { [$0] } ?? [], title: title(of: function),
            canonical: CanonicalDevice(
                key: PhysicalParents.key(pci: function.address),
                alone: group.map { [PhysicalParents.key(group: $0)] } ?? [],
                beneath: function.physicalFunction.map { [PhysicalParents.key(pci: $0)] } ?? []),
            uses: uses(of: function), details: .pci(Device.PCI(function)))
    }

    /// What the host could not do without the function.
    private func uses(of function: PCIFunction) -> [Device.Use] {
        if function.isBridge { return [.essential("a bridge of the host")] }
        let display: [Device.Use] =
            function.isBootDisplay ? [.essential("the display that the host booted with")] : []
        return display + dependents.uses(below: function.path)
    }

    /// "Ethernet controller: Intel Corporation I210 Gigabit Network Connection", by udev's hardware database; where that
    /// is not at hand, the kind and the numbers.
    private func title(of function: PCIFunction) -> String {
        let udev = udevRuns && root.isHost ? try? SystemDevice.at(syspath: function.path) : nil
        let kind =
            udev?.property("ID_PCI_SUBCLASS_FROM_DATABASE") ?? udev?.property("ID_PCI_CLASS_FROM_DATABASE")
            ?? PCIInventory.kind(function.kind)
        let names = ["ID_VENDOR_FROM_DATABASE", "ID_MODEL_FROM_DATABASE"].compactMap { udev?.property($0) }
        let name =
            names.isEmpty
            ? function.identity?.description.prefix(9).description ?? "" : names.joined(separator: " ")
        return "\(kind): \(name)"
    }

    /// The base classes of the PCI Code and ID Assignment Specification, and those subclasses that people give away.
    private static func kind(_ code: String) -> String {
        switch (code.prefix(2), code.prefix(4)) {
        case (_, "0106"): "SATA controller"
        case (_, "0108"): "NVMe controller"
        case (_, "0200"): "Ethernet controller"
        case (_, "0403"): "audio device"
        case (_, "0c03"): "USB controller"
        case ("01", _): "mass storage controller"
        case ("02", _): "network controller"
        case ("03", _): "display controller"
        case ("04", _): "multimedia controller"
        case ("05", _): "memory controller"
        case ("06", _): "bridge"
        case ("07", _): "communication controller"
        case ("08", _): "system peripheral"
        case ("09", _): "input device controller"
        case ("0c", _): "serial bus controller"
        case ("0d", _): "wireless controller"
        case ("10", _): "encryption controller"
        case ("12", _): "processing accelerator"
        default: "PCI device"
        }
    }
}

extension Device.PCI {
    /// What concerns us of a function.
    init(_ function: PCIFunction) {
        self.init(
            address: function.address, driver: function.driver, group: function.group,
            companions: function.companions, canReset: function.canReset)
    }
}
