internal import Applying
internal import Devices

/// What JSON says of a row; names as in the table and in `vmdevctl --help`.
struct DeviceJSON: Encodable {
    let device: String
    let deviceClass: String
    let description: String
    let present: Bool
    let identities: [String]
    let size: UInt64?
    let readOnly: Bool?
    let serial: String?
    let usb: USB?
    let pci: PCI?
    let mic: Mic?
    let hostUses: [String]
    let cautions: [String]
    let attached: [User]
    let assigned: [User]

    struct User: Encodable {
        let vm: String
        let device: String
        let mode: String?
        let options: [String: String]
    }

    struct USB: Encodable {
        let node: String
        let address: Int
    }

    struct PCI: Encodable {
        let address: String
        let driver: String?
        let group: Int?
        let companions: [String]
        let canReset: Bool

        enum CodingKeys: String, CodingKey {
            case address, driver, group, companions
            case canReset = "can_reset"
        }
    }

    struct Mic: Encodable {
        let card: Int
        let cardName: String?
        let device: Int

        enum CodingKeys: String, CodingKey {
            case card, device
            case cardName = "card_name"
        }
    }

    enum CodingKeys: String, CodingKey {
        case device, description, present, identities, size, serial, usb, pci, mic, cautions, attached, assigned
        case deviceClass = "class"
        case readOnly = "read_only"
        case hostUses = "host_uses"
    }

    init(_ row: Survey.Row) {
        device = row.name
        deviceClass =
            (row.device?.deviceClass ?? row.attachments.first?.device.deviceClass
            ?? row.assignments.first?.device.deviceClass)?.rawValue ?? ""
        description = row.summary
        present = row.device != nil
        identities = (row.device?.identities ?? row.identity.map { [$0] } ?? []).map(\.description)
        size = row.device?.block?.size
        readOnly = row.device?.block?.isReadOnly
        serial = row.device?.block.map { printable($0.serial) }
        usb = row.device?.usb.map { USB(node: printable($0.node), address: $0.address) }
        pci = row.device?.pci.map {
            PCI(
                address: printable($0.address), driver: $0.driver.map { printable($0) }, group: $0.group,
                companions: $0.companions.map { printable($0) },
                canReset: $0.canReset)
        }
        mic = row.device?.mic.map {
            Mic(card: $0.card, cardName: $0.cardName.map { printable($0) }, device: $0.device)
        }
        cautions = row.device?.cautions ?? []
        hostUses = row.device?.uses.map(\.description) ?? []
        attached = row.attachments.map {
            User(vm: $0.vm.description, device: $0.device.description, mode: nil, options: $0.options.dictionary)
        }
        assigned = row.assignments.map {
            User(
                vm: $0.target.description, device: $0.device.description, mode: $0.mode.rawValue,
                options: $0.options.dictionary)
        }
    }
}

extension DeviceOptions {
    fileprivate var dictionary: [String: String] {
        Dictionary(entries.map { ($0.key, $0.value) }, uniquingKeysWith: { first, _ in first })
    }
}
