/// QEMU's object tree, as qom-list and qom-get show it.
enum QOM {
    /// Devices with an id.
    static let peripheral = "/machine/peripheral"
    /// Devices that were given without one.
    static let anonymous = "/machine/peripheral-anon"
    /// The only PCI bus of an i440fx machine.
    static let conventionalBus = "/machine/i440fx/pci.0"

    /// One entry of a node: ObjectPropertyInfo, in qom-list.
    struct Entry: Decodable, Hashable, Sendable {
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

}

extension [QOM.Entry] {
    /// The child nodes.
    var children: [QOM.Entry] { filter { $0.childType != nil } }

    /// The devices on a bus: its links `child[0]`, `child[1]`, ….
    var busDevices: [QOM.Entry] { filter { $0.name.hasPrefix("child[") && $0.linkType != nil } }
}

extension Result {
    /// The value, or nil for an error.
    var value: Success? { if case .success(let value) = self { value } else { nil } }
}
