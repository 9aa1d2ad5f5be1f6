/// The kind of a device, as `qvm-device` names it.
public enum DeviceClass: String, CaseIterable, Sendable, Comparable, CustomStringConvertible {
    case block, usb, pci, mic

    /// Reads the name of a class.
    public init(parsing text: some StringProtocol) throws(SyntaxError) {
        guard let known = DeviceClass(rawValue: String(text)) else {
            throw SyntaxError(
                "device class", text,
                expected: "one of \(DeviceClass.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        self = known
    }

    /// Whether several running VMs may have the same device: only the microphone ("How to use devices", Qubes OS 4.0).
    public var isShareable: Bool { self == .mic }

    /// The name.
    public var description: String { rawValue }

    /// The name at the beginning of a sentence.
    public var title: String { self == .usb || self == .pci ? rawValue.uppercased() : rawValue.capitalizedASCII }

    /// The order of `allCases`: the order in which devices are attached.
    public static func < (left: DeviceClass, right: DeviceClass) -> Bool { left.rank < right.rank }

    private var rank: Int {
        switch self {
        case .block: 0
        case .usb: 1
        case .pci: 2
        case .mic: 3
        }
    }
}

extension String {
    var capitalizedASCII: String { prefix(1).uppercased() + dropFirst() }
}
