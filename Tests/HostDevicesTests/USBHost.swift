import Devices
import Foundation
import Platform

@testable import HostDevices

/// A host's USB devices rebuilt in a folder as the kernel lays them out: this machine may have none.
struct USBHost {
    let folder: TemporaryFolder
    var root: Root { Root(folder.path) }

    /// The PCI function of the controller.
    static let controller = "0000:00:14.0"

    init() throws {
        folder = try TemporaryFolder()
        try FileManager.default.createDirectory(
            atPath: "\(folder.path)/sys/kernel/iommu_groups/7", withIntermediateDirectories: true)
    }

    /// Adds a controller's bus.
    func addBus(_ number: Int, version: String = " 2.00", on controller: String = USBHost.controller) throws {
        let path = "sys/devices/pci0000:00/\(controller)"
        try folder.write("\(path)/usb\(number)/version", "\(version)\n")
        try? folder.link("\(path)/iommu_group", to: "\(folder.path)/sys/kernel/iommu_groups/7")
    }

    /// Adds a device; one behind a hub lies in the hub's folder. Answers its folder.
    @discardableResult
    func add(
        _ port: String, serial: String? = "SN1", interfaces: [String] = ["080650"], vendor: UInt16 = 0x46f4,
        product: UInt16 = 1, address: Int = 4, on controller: String = USBHost.controller,
        attributes: [String: String] = [:]
    ) throws -> USBFolder {
        let bus = String(port.prefix { $0 != "-" })
        let steps = port.dropFirst(bus.count + 1).split(separator: ".")
        let hubs = (1..<max(steps.count, 1)).map { "\(bus)-" + steps.prefix($0).joined(separator: ".") }
        let path = (["sys/devices/pci0000:00", controller, "usb\(bus)"] + hubs + [port]).joined(separator: "/")
        let minor = ((Int(bus) ?? 1) - 1) * 128 + address - 1
        var texts = [
            "busnum": bus, "devnum": "\(address)", "dev": "189:\(minor)", "bDeviceClass": "00", "authorized": "1",
            "manufacturer": "QEMU", "product": "QEMU USB HARDDRIVE",
        ]
        texts["serial"] = serial
        for (name, text) in texts.merging(attributes, uniquingKeysWith: { $1 }) {
            try folder.write("\(path)/\(name)", "\(text)\n")
        }
        let bytes = USBHost.descriptors(vendor: vendor, product: product, interfaces: interfaces)
        try Data(bytes).write(to: URL(fileURLWithPath: "\(folder.path)/\(path)/descriptors"))
        for (index, _) in interfaces.enumerated() {
            try folder.write("\(path)/\(port):1.\(index)/bInterfaceNumber", "0\(index)\n")
        }
        try folder.link("sys/bus/usb/devices/\(port)", to: "\(folder.path)/\(path)")
        return USBFolder(path: "\(folder.path)/\(path)")
    }

    /// Adds a disk of a device.
    func addDisk(_ name: String, _ number: String, of device: USBFolder) throws {
        let path = String(device.path.dropFirst(folder.path.utf8.count + 1)) + "/host1/block/\(name)"
        try folder.write("\(path)/dev", "\(number)\n")
        try folder.write("\(path)/size", "65536\n")
        try folder.write("\(path)/ro", "0\n")
        try folder.link("sys/block/\(name)", to: "\(folder.path)/\(path)")
        try folder.link("sys/dev/block/\(number)", to: "\(folder.path)/\(path)")
    }

    /// The device as it is offered.
    func device(_ usb: USBFolder, mountinfo: String = "", ipv4: String = "", ipv6: String = "") -> Device? {
        let usage = HostUsage(mounts: MountTable(mountinfo: Array(mountinfo.utf8)), swaps: [], root: root)
        let network = HostNetwork(ipv4: Array(ipv4.utf8), ipv6: Array(ipv6.utf8), root: root)
        return USBInventory(
            root: root, dependents: HostDependents(root: root, usage: usage, network: network)
        ).device(usb)
    }

    /// What a device says that it is: its own descriptor, one configuration, its interfaces.
    static func descriptors(vendor: UInt16, product: UInt16, interfaces: [String]) -> [UInt8] {
        let numbers = [vendor, product].flatMap { [UInt8($0 & 0xff), UInt8($0 >> 8)] }
        var bytes: [UInt8] = [18, 1, 0, 2, 0, 0, 0, 64] + numbers + [0, 1, 1, 2, 3, 1]
        bytes += [9, 2, 0, 0, UInt8(interfaces.count), 1, 0, 0x80, 50]
        for (index, code) in interfaces.enumerated() {
            let value = UInt32(code, radix: 16) ?? 0
            bytes += [
                9, 4, UInt8(index), 0, 1, UInt8(value >> 16 & 0xff), UInt8(value >> 8 & 0xff), UInt8(value & 0xff),
                0,
            ]
            bytes += [7, 5, 0x81, 2, 0, 2, 0]
        }
        return bytes
    }
}
