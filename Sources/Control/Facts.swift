internal import Applying
internal import Devices

/// All that is known of a device, for people: what it is called and what it is.
func facts(_ row: Survey.Row) -> [(String, String)] {
    var facts = [("device", row.name)]
    for port in row.alsoKnownAs { facts.append(("same device as", port)) }
    facts.append(("description", row.summary))
    for identity in row.device?.identities ?? row.identity.map({ [$0] }) ?? []
    where identity != row.device?.stablePort {
        facts.append(("identity", identity.description))
    }
    if let device = row.device { facts += details(of: device) }
    for use in row.device?.uses ?? [] {
        facts.append((use.isHosts ? "used by the host" : "used by its source", use.description))
    }
    for caution in row.device?.cautions ?? [] { facts.append(("caution", caution)) }
    for record in row.attachments {
        facts.append(("attached to", record.vm.description + suffix(record.options)))
    }
    for assignment in row.assignments {
        facts.append(("assigned to", "\(assignment.target) (\(assignment.mode))\(suffix(assignment.options))"))
    }
    return facts
}

private func details(of device: Device) -> [(String, String)] {
    switch device.details {
    case .block(let block):
        return [
            ("node", block.node), ("serial in the guest", block.serial), ("size", "\(block.size) bytes"),
            ("read-only", yes(block.isReadOnly)),
        ] + (block.parent.map { [("part of", $0.description)] } ?? [])
    case .usb(let usb):
        return [("node", usb.node), ("address on its bus", String(usb.address))]
            + (usb.stablePort.map { [("port by its controller", $0.description)] } ?? [])
    case .pci(let pci):
        return [
            ("address", pci.address), ("driver of the host", pci.driver ?? "none"),
            ("IOMMU group", pci.group.map(String.init) ?? "none: the host has no IOMMU, or it is off"),
        ] + pci.companions.map { ("also in the group", $0) } + [("can be reset by itself", yes(pci.canReset))]
    case .mic(let mic):
        return [
            ("sound card", "\(mic.card)\(mic.cardName.map { " (\($0))" } ?? "")"),
            ("capture device", String(mic.device)),
        ]
    case .exposed(let exposed):
        return (exposed.address.map { [("address", $0)] } ?? [])
            + (exposed.isReadOnly.map { [("read-only", yes($0))] } ?? [])
    case .plain: return []
    }
}

private func yes(_ value: Bool) -> String { value ? "yes" : "no" }

private func suffix(_ options: DeviceOptions) -> String {
    options.entries.isEmpty ? "" : ", \(options.summary)"
}

extension Device.Use {
    fileprivate var isHosts: Bool {
        switch self {
        case .atSource, .exported: false
        default: true
        }
    }
}
