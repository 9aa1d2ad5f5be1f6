/// A device that a source VM exposes now.
public struct Device: Hashable, Sendable {
    /// Its kind.
    public let deviceClass: DeviceClass
    /// Who exposes it.
    public let source: VMName
    /// Where it is plugged.
    public let port: Port
    /// Other names of that place, such as a PCI function's path from the root bus.
    public let otherPorts: [Port]
    /// All names under which it is known wherever it is plugged; the first is the one to store.
    public let identities: [DeviceIdentity]
    /// What it says of itself, made printable.
    public let title: String
    /// What it is, for exclusion.
    public let canonical: CanonicalDevice
    /// Who uses it on the source itself; none when it is free.
    public let uses: [Use]
    /// What to think of before it is given away, such as the console's keyboard; half sentences, made printable.
    public let cautions: [String]
    /// What only devices of its class have.
    public let details: Details

    /// What only devices of one class have.
    public enum Details: Hashable, Sendable {
        /// A disk, partition or volume.
        case block(Block)
        /// What hangs on a USB port.
        case usb(USB)
        /// A function of a PCI device.
        case pci(PCI)
        /// A capture device of a sound card.
        case mic(Mic)
        /// What another VM exposes, of which only that VM knows more.
        case exposed(Exposed)
        /// Nothing more.
        case plain
    }

    /// What a device of another VM has.
    public struct Exposed: Hashable, Sendable {
        /// Whether it can only be read; nil when nobody said.
        public let isReadOnly: Bool?
        /// Of a PCI device its full address ("0000:00:1f.2"), where somebody said it.
        public let address: String?

        /// Describes a device of another VM.
        public init(isReadOnly: Bool?, address: String? = nil) {
            self.isReadOnly = isReadOnly
            self.address = address
        }
    }

    /// What a USB device has.
    public struct USB: Hashable, Sendable {
        /// Its node, below the root's /dev ("/dev/bus/usb/001/004").
        public let node: String
        /// The number that the kernel gave it on its bus, 1 to 127; another one after each plug.
        public let address: Int
        /// Its major and minor number.
        public let number: Number
        /// Its port by its controller, which stays the same where the kernel numbers its buses anew
        /// ("pci-0000:00:14.0-usbv3-0:1.4"); nil when that is not known.
        public let stablePort: DeviceIdentity?

        /// Describes a USB device.
        public init(node: String, address: Int, number: Number, stablePort: DeviceIdentity? = nil) {
            self.node = node
            self.address = address
            self.number = number
            self.stablePort = stablePort
        }
    }

    /// What a function of a PCI device has.
    public struct PCI: Hashable, Sendable {
        /// Its full address ("0000:00:1f.2").
        public let address: String
        /// The host's driver that has it; nil when none has.
        public let driver: String?
        /// The number of its IOMMU group; nil where there is no IOMMU.
        public let group: Int?
        /// The other functions of its group that some driver of the host has, each with the driver's name.
        public let companions: [String]
        /// Whether the kernel can reset it by itself.
        public let canReset: Bool

        /// Describes a function.
        public init(address: String, driver: String?, group: Int?, companions: [String], canReset: Bool) {
            self.address = address
            self.driver = driver
            self.group = group
            self.companions = companions
            self.canReset = canReset
        }
    }

    /// What a capture device has.
    public struct Mic: Hashable, Sendable {
        /// The number of the sound card.
        public let card: Int
        /// The name of the sound card in ALSA ("PCH"), which is the same at the next start of the host more often than
        /// its number is; nil for one that has none.
        public let cardName: String?
        /// The number of the capture device on it.
        public let device: Int
        /// The number of its node; nil when that is not known.
        public let number: Number?

        /// Describes a capture device.
        public init(card: Int, cardName: String?, device: Int, number: Number? = nil) {
            self.card = card
            self.cardName = cardName
            self.device = device
            self.number = number
        }
    }

    /// What a block device has.
    public struct Block: Hashable, Sendable {
        /// Its node, below the root's /dev ("/dev/sda1").
        public let node: String
        /// Major and minor number.
        public let number: Number
        /// The kernel's number for this very disk (diskseq(5) of sysfs, Linux 5.15): never used twice in one boot.
        public let sequence: UInt64?
        /// Bytes.
        public let size: UInt64
        /// Whether it can only be read.
        public let isReadOnly: Bool
        /// The serial number that the guest is shown; at most 20 characters, as virtio-blk has it.
        public let serial: String
        /// For a partition the disk that it is on.
        public let parent: Port?

        /// Describes a block device.
        public init(
            node: String, number: Number, sequence: UInt64?, size: UInt64, isReadOnly: Bool, serial: String,
            parent: Port?
        ) {
            self.node = node
            self.number = number
            self.sequence = sequence
            self.size = size
            self.isReadOnly = isReadOnly
            self.serial = serial
            self.parent = parent
        }
    }

    /// A device number.
    public struct Number: Hashable, Sendable, CustomStringConvertible {
        /// The driver's part.
        public let major: UInt32
        /// The device's part.
        public let minor: UInt32

        /// Joins both parts.
        public init(major: UInt32, minor: UInt32) {
            self.major = major
            self.minor = minor
        }

        /// `8:1`.
        public var description: String { "\(major):\(minor)" }
    }

    /// Something that the source itself does with a device.
    public enum Use: Hashable, Sendable, CustomStringConvertible {
        /// A file system of it is mounted there.
        case mounted(String)
        /// It is swap space.
        case swap
        /// A dm, md or bcache device of that name is made from it.
        case holder(String)
        /// Its part of that name is used: a partition, for example.
        indirect case part(Port, Use)
        /// The kernel says that it is busy and nothing tells by whom.
        case busy
        /// Something that the host cannot be without, as half a sentence: "the way to the default gateway".
        case essential(String)
        /// The source, a VM, uses it; in its own words, as half a sentence.
        case atSource(String)
        /// The source has exported it to that VM.
        case exported(VMName)

        /// "mounted on /srv".
        public var description: String {
            switch self {
            case .mounted(let place): "mounted on \(printable(place))"
            case .swap: "used as swap"
            case .holder(let name): "part of \(printable(name))"
            case .part(let port, let use): "\(port) is \(use)"
            case .busy: "in use by the host's kernel"
            case .essential(let what), .atSource(let what): printable(what)
            case .exported(let vm): "exported to VM \(vm)"
            }
        }
    }

    /// Describes a device.
    public init(
        _ deviceClass: DeviceClass, source: VMName, port: Port, otherPorts: [Port] = [],
        identities: [DeviceIdentity] = [], title: String, canonical: CanonicalDevice, uses: [Use] = [],
        cautions: [String] = [], details: Details = .plain
    ) {
        self.deviceClass = deviceClass
        self.source = source
        self.port = port
        self.otherPorts = otherPorts
        self.identities = identities
        self.title = printable(title)
        self.canonical = canonical
        self.uses = uses
        self.cautions = cautions.map { printable($0) }
        self.details = details
    }

    /// What only a block device has; nil for the others.
    public var block: Block? {
        if case .block(let block) = details { block } else { nil }
    }

    /// What only a USB device has; nil for the others.
    public var usb: USB? {
        if case .usb(let usb) = details { usb } else { nil }
    }

    /// What only a PCI device has; nil for the others.
    public var pci: PCI? {
        if case .pci(let pci) = details { pci } else { nil }
    }

    /// What only a capture device has; nil for the others.
    public var mic: Mic? {
        if case .mic(let mic) = details { mic } else { nil }
    }

    /// Whether it can only be read; nil when that is not known, or means nothing for its class.
    public var isReadOnly: Bool? {
        switch details {
        case .block(let block): block.isReadOnly
        case .exposed(let exposed): exposed.isReadOnly
        case .usb, .pci, .mic, .plain: nil
        }
    }

    /// Of a PCI device its full address ("0000:00:1f.2"), where that is known.
    public var address: String? {
        if case .exposed(let exposed) = details { exposed.address } else { pci?.address }
    }

    /// Whether that is its port, under whichever name.
    public func isIn(_ port: Port) -> Bool { self.port == port || otherPorts.contains(port) }

    /// A name of its port that says more than the port itself, as one of its identities: whatever is plugged there has it.
    /// It is what an assignment by port stores, since the number of a USB bus may be another one at the next boot.
    public var stablePort: DeviceIdentity? { usb?.stablePort }

    /// Tells this very plug of the device from an earlier or a later one in the same place; nil where nothing does.
    public var sequence: UInt64? { block?.sequence ?? usb.map { UInt64($0.number.minor) } }

    /// The number of its node, where it has one that is known.
    public var number: Number? { block?.number ?? usb?.number ?? mic?.number }

    /// How the CLI stores it: port and identity where it has one.
    public var reference: DeviceReference {
        DeviceReference(deviceClass, source: source, port: port, identity: identities.first)
    }

    /// `dom0:sda1`.
    public var name: String { "\(source):\(port)" }
}
