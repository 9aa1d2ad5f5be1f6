import Devices
import Foundation
import Platform

@testable import HostDevices

/// A host with PCI functions, rebuilt in a folder as the kernel lays it out; no kernel acts on what is written there.
struct PCIHost {
    let folder: TemporaryFolder
    var root: Root { Root(folder.path) }
    var pci: HostPCIDevices { HostPCIDevices(root: root, limit: .seconds(20)) }
    var source: HostSource { HostSource(root: root) }

    init() throws {
        folder = try TemporaryFolder()
        for name in ["sys/bus/pci/drivers_probe", "dev/vfio/vfio"] { try folder.write(name, "") }
        try addDriver("vfio-pci")
    }

    func addDriver(_ name: String) throws {
        for file in ["bind", "unbind"] { try folder.write("sys/bus/pci/drivers/\(name)/\(file)", "") }
    }

    /// Adds a function, below the bridges of `path` if it is on another bus than the first.
    func add(
        _ address: String, below path: [String] = [], ids: (String, String) = ("8086", "10d3"),
        kind: String = "020000", driver: String? = nil, group: Int? = nil, canReset: Bool = true,
        buses: (secondary: Int, name: String)? = nil
    ) throws {
        let place = (["sys/devices/pci0000:00"] + path + [address]).joined(separator: "/")
        try folder.write("\(place)/vendor", "0x\(ids.0)\n")
        try folder.write("\(place)/device", "0x\(ids.1)\n")
        try folder.write("\(place)/subsystem_vendor", "0x8086\n")
        try folder.write("\(place)/subsystem_device", "0x0001\n")
        try folder.write("\(place)/class", "0x\(kind)\n")
        try folder.write("\(place)/driver_override", "(null)\n")
        if canReset { try folder.write("\(place)/reset", "") }
        if let buses {
            try folder.write("\(place)/secondary_bus_number", "\(buses.secondary)\n")
            try folder.write("\(place)/pci_bus/\(buses.name)/uevent", "")
        }
        try folder.link("sys/bus/pci/devices/\(address)", to: "\(folder.path)/\(place)")
        if let driver { try bind(address, to: driver) }
        if let group {
            try folder.link("\(place)/iommu_group", to: "\(folder.path)/sys/kernel/iommu_groups/\(group)")
            try folder.link("sys/kernel/iommu_groups/\(group)/devices/\(address)", to: "\(folder.path)/\(place)")
            try folder.write("dev/vfio/\(group)", "")
        }
    }

    /// What the kernel would do.
    func bind(_ address: String, to driver: String?) throws {
        let link = "\(folder.path)/sys/bus/pci/devices/\(address)/driver"
        try? FileManager.default.removeItem(atPath: link)
        guard let driver else { return }
        try addDriver(driver)
        try FileManager.default.createSymbolicLink(
            atPath: link, withDestinationPath: "\(folder.path)/sys/bus/pci/drivers/\(driver)")
    }

    /// A file that keeps whoever writes it waiting for ever.
    func hang(_ name: String) throws {
        let path = "\(folder.path)/\(name)"
        try? FileManager.default.removeItem(atPath: path)
        guard mkfifo(path, 0o600) == 0 else { throw SystemCallError("make", path, code: errno) }
    }

    func read(_ name: String) -> String? { try? String(contentsOfFile: "\(folder.path)/\(name)", encoding: .utf8) }

    func device(_ port: String) throws -> Device? {
        try pci.candidates(for: [DeviceReference(.pci, source: .host, port: Port(port, of: .pci))]).first?.first
    }

    /// What is remembered of a function.
    func saved(_ address: String) -> String? { read("run/vmdev/drivers/\(address)") }
}
