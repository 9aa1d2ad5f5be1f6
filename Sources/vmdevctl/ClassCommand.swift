import ArgumentParser
import Devices

/// The class that a command works on, as a type, so that one command serves all classes.
protocol ClassTag: Sendable {
    static var deviceClass: DeviceClass { get }
    static var abstract: String { get }
    /// What has to be thought of before a VM gets one.
    static var advice: String { get }
}

enum Block: ClassTag {
    static let deviceClass = DeviceClass.block
    static let abstract = "Disks, partitions, volumes and loop devices."
    static let advice =
        "A disk needs a free pcie-root-port, or a SCSI or USB controller, in the VM."
}

enum USB: ClassTag {
    static let deviceClass = DeviceClass.usb
    static let abstract = "USB devices."
    static let advice =
        "The VM needs a USB controller of its own, such as QEMU's -device qemu-xhci."
}

enum PCI: ClassTag {
    static let deviceClass = DeviceClass.pci
    static let abstract = "PCI devices."
    static let advice =
        "The host needs an IOMMU that is on, and the VM a free pcie-root-port."
}

enum Mic: ClassTag {
    static let deviceClass = DeviceClass.mic
    static let abstract = "Microphones."
    static let advice =
        "The VM needs a sound backend that is named after the port, vmdev-mic for dom0:mic; the error has the argument to add."
}

/// `vmdevctl CLASS [ACTION] …`; without an action it lists.
struct ClassCommand<Tag: ClassTag>: ParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: Tag.deviceClass.rawValue, abstract: Tag.abstract,
            discussion: "Without an action it lists.",
            subcommands: [
                ListCommand<Tag>.self, AttachCommand<Tag>.self, DetachCommand<Tag>.self, AssignCommand<Tag>.self,
                UnassignCommand<Tag>.self, InfoCommand<Tag>.self,
            ],
            defaultSubcommand: ListCommand<Tag>.self)
    }
}

/// Which device: `SOURCE:PORT[:IDENTITY]`.
func reference<Tag: ClassTag>(_ text: String, _: Tag.Type) throws -> DeviceReference {
    try DeviceReference(parsing: text, of: Tag.deviceClass)
}

/// Which VM.
func vmName(_ text: String) throws -> VMName { try VMName(text) }

/// How a device is attached.
struct AttachOptions: ParsableArguments {
    @Option(
        name: [.customShort("o"), .customLong("option")],
        help: ArgumentHelp("An option of the class (see above); may be given again.", valueName: "name=value"),
        completion: .deviceOptions)
    var options: [String] = []

    @Flag(help: "The same as -o read-only=yes.")
    var ro = false

    /// The options, checked against what the class knows; `ro` is another name of `read-only`.
    func checked(for deviceClass: DeviceClass) throws -> DeviceOptions {
        var pairs = try options.map { try DeviceOptions.pair(parsing: $0) }
        pairs = pairs.map { $0.key == "ro" ? ("read-only", $0.value) : $0 }
        if ro { pairs.append(("read-only", "yes")) }
        return try DeviceOptions(pairs, of: deviceClass)
    }
}

/// The part of the help that says what a class needs, and names its options.
func optionHelp<Tag: ClassTag>(_: Tag.Type) -> String {
    Tag.advice + "\n\nOptions of a \(Tag.deviceClass) device:\n"
        + OptionRule.rules(of: Tag.deviceClass).map { "  \($0.key)=…  \($0.help)" }.joined(separator: "\n")
}
