/// How a PCI function is reached from the root bus: the form in which Qubes OS 4.3 stores PCI ports.
///
/// `00_1c.0-00_00.0` is function 00.0 behind the bridge 00_1c.0. The two digits before a later step count from the first
/// bus behind its bridge, so that no number occurs that a further card would change.
public struct PCIPath: Hashable, Sendable {
    /// The full address of the function on the root bus ("0000:00:1c.0").
    public let start: String
    /// The functions after it, each behind the one before; none for a port that is a plain address.
    public let steps: [Step]

    /// A function behind a bridge.
    public struct Step: Hashable, Sendable {
        /// How many buses after the bridge's first one.
        public let offset: Int
        /// Device and function ("00.0").
        public let place: String
    }

    /// The longest, in characters: eight bridges, more than any machine has.
    static let maximumLength = 71

    /// The path in its one form, each part of which `step` makes.
    static func canonical(_ text: String, step: (String) -> String?) -> String? {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false).map(String.init)
        let forms = parts.compactMap(step)
        // Only the first can be in another segment, and only a port without a path is written with colons.
        guard forms.count == parts.count, forms.dropFirst().allSatisfy({ $0.utf8.count == 7 }),
            parts.count == 1 || !text.contains(":")
        else { return nil }
        return forms.joined(separator: "-")
    }

    /// Reads a port in its one form; nil for a port of another class.
    fileprivate init?(_ port: Port) {
        let parts = port.description.split(separator: "-")
        guard port.isHexadecimal, let first = parts.first else { return nil }
        let fields = first.split(separator: "_").map(String.init)
        start = (fields.count == 2 ? ["0000"] + fields : fields).joined(separator: ":")
        steps = parts.dropFirst().compactMap { part in
            let fields = part.split(separator: "_")
            guard fields.count == 2, let offset = fields.first.flatMap({ Int($0, radix: 16) }),
                let place = fields.last
            else { return nil }
            return Step(offset: offset, place: String(place))
        }
    }
}

extension Port {
    /// The way to the function of a PCI port; nil for a port of another class.
    public var pciPath: PCIPath? { PCIPath(self) }
}
