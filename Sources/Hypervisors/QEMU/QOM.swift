/// QEMU's object tree, as qom-list and qom-get show it.
enum QOM {
    /// Devices with an id.
    static let peripheral = "/machine/peripheral"
    /// Devices that were given without one.
    static let anonymous = "/machine/peripheral-anon"
    /// The only PCI bus of an i440fx machine.
    static let conventionalBus = "/machine/i440fx/pci.0"

    /// One entry of a node.
    struct Entry: Hashable, Sendable {
        let name: String
        let type: String

        /// The type of a child node: `child<virtio-blk-pci>` is a `virtio-blk-pci`.
        var childType: String? { inner("child<") }
        /// The type of a linked node.
        var linkType: String? { inner("link<") }

        private func inner(_ prefix: String) -> String? {
            guard type.hasPrefix(prefix), type.hasSuffix(">") else { return nil }
            return String(type.dropFirst(prefix.count).dropLast())
        }
    }

    /// What a qom-list answered; what has not the right form is left out.
    static func entries(_ answer: JSONValue) -> [Entry] {
        (answer.array ?? []).compactMap { entry in
            guard let name = entry["name"]?.string, let type = entry["type"]?.string else { return nil }
            return Entry(name: name, type: type)
        }
    }

    /// The child nodes in a qom-list.
    static func children(_ answer: JSONValue) -> [Entry] { entries(answer).filter { $0.childType != nil } }

    /// The devices on a bus: its links `child[0]`, `child[1]`, ….
    static func devices(onBus answer: JSONValue) -> [Entry] {
        entries(answer).filter { $0.name.hasPrefix("child[") && $0.linkType != nil }
    }
}

extension QMPCommand {
    /// qom-list.
    static func list(_ path: String) -> QMPCommand { QMPCommand("qom-list", ["path": .string(path)]) }

    /// qom-get.
    static func get(_ property: String, of path: String) -> QMPCommand {
        QMPCommand("qom-get", ["path": .string(path), "property": .string(property)])
    }
}

extension Result {
    /// The value, or nil for an error.
    var value: Success? { if case .success(let value) = self { value } else { nil } }
}
