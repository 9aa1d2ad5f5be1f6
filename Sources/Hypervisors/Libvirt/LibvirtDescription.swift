/// What we look at in the live description of a domain.
struct LibvirtDescription {
    private let root: XMLElement

    init(_ root: XMLElement) { self.root = root }

    /// All devices, in order.
    var devices: [XMLElement] { root.first("devices")?.children ?? [] }

    /// The devices that are ours.
    var aliases: [AttachmentID: XMLElement] {
        Dictionary(
            devices.compactMap { device in
                (device.first("alias")?["name"]).flatMap(AttachmentID.init(alias:)).map { ($0, device) }
            }, uniquingKeysWith: { first, _ in first })
    }

    /// The names that disks have in the description ("vda").
    var targets: Set<String> {
        Set(devices.filter { $0.name == "disk" }.compactMap { $0.first("target")?["dev"] })
    }

    /// PCI Express ports with nothing in them.
    var freePorts: Int {
        let used = Set(
            devices.compactMap { $0.first("address") }.filter { $0["type"] == "pci" }.compactMap { $0["bus"] }
                .compactMap(LibvirtDescription.number))
        return controllers("pci").count { controller in
            controller["model"] == "pcie-root-port"
                && controller["index"].flatMap(LibvirtDescription.number).map { !used.contains($0) } == true
        }
    }

    /// Whether the machine is an i440fx one, whose first bus takes devices in slots.
    var isConventional: Bool { controllers("pci").contains { $0["model"] == "pci-root" } }

    /// Slots of the first bus of an i440fx machine that are free, by what the description says; 0 is the bridge's.
    var freeSlots: Int {
        guard isConventional else { return 0 }
        let used = devices.compactMap { $0.first("address") }.filter {
            $0["type"] == "pci" && $0["bus"].flatMap(LibvirtDescription.number) == 0
        }.compactMap { $0["slot"].flatMap(LibvirtDescription.number) }
        // Slot 1 is the chipset's, 2 the first display's, which libvirt keeps for one.
        return max(0, 32 - Set(used + [0, 1, 2]).count)
    }

    /// The numbers of SCSI controllers that take disks while the domain is on.
    var scsiControllers: [String] {
        controllers("scsi").filter { $0["model"]?.hasPrefix("virtio-") == true || $0["model"] == "lsilogic" }
            .compactMap { $0["index"] }
    }

    /// Whether there is a USB controller.
    var hasUSB: Bool { controllers("usb").contains { $0["model"] != "none" } }

    private func controllers(_ type: String) -> [XMLElement] {
        devices.filter { $0.name == "controller" && $0["type"] == type }
    }

    /// "0x1f", "31".
    static func number(_ text: String) -> Int? {
        text.hasPrefix("0x") ? Int(text.dropFirst(2), radix: 16) : Int(text)
    }
}
