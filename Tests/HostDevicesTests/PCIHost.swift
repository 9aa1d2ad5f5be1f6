import Devices
import Foundation
import Platform

@testable import HostDevices

/// A host with PCI functions, rebuilt in a folder as the kernel lays it out.
struct PCIHost {
    let folder: TemporaryFolder
    var root: Root { Root(folder.path) }
    /// With a kernel that does what is written.
    var pci: HostPCIDevices { HostPCIDevices(root: root, limit: .seconds(20), files: FakeKernel(folder: folder)) }
    /// With nobody who does.
    var deaf: HostPCIDevices { HostPCIDevices(root: root, limit: .seconds(3)) }

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
        if let driver {
            try folder.write("\(place)/natural_driver", driver)
            try bind(address, to: driver)
        }
        if let group {
            try folder.link("\(place)/iommu_group", to: "\(folder.path)/sys/kernel/iommu_groups/\(group)")
            try folder.link("sys/kernel/iommu_groups/\(group)/devices/\(address)", to: "\(folder.path)/\(place)")
            try folder.write("dev/vfio/\(group)", "")
        }
    }

    func bind(_ address: String, to driver: String?) throws {
        if let driver { try addDriver(driver) }
        FakeKernel(folder: folder).bind(address, to: driver)
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

/// What the kernel does with what is written to its files, at once; each function's own driver is in a file of the
/// folder that no kernel has.
struct FakeKernel: DriverFiles, @unchecked Sendable {
    let folder: TemporaryFolder

    private func place(_ address: String) -> String { "\(folder.path)/sys/bus/pci/devices/\(address)" }

    func read(_ path: String, by deadline: Deadline) throws(SystemCallError) -> String? {
        String(decoding: try contents(of: path), as: UTF8.self)
    }

    func write(_ text: String, to path: String, by deadline: Deadline) throws(SystemCallError) -> Bool {
        do { try text.write(toFile: path, atomically: false, encoding: .utf8) } catch {
            throw SystemCallError("write", path, code: ENOENT)
        }
        if path.hasSuffix("/unbind") {
            bind(text, to: nil)
        } else if path.hasSuffix("/drivers_probe") {
            let override = (try? String(contentsOfFile: "\(place(text))/driver_override", encoding: .utf8))
                .map { $0.trimmingCharacters(in: .newlines) }.flatMap { $0.isEmpty || $0 == "(null)" ? nil : $0 }
            let own = try? String(contentsOfFile: "\(place(text))/natural_driver", encoding: .utf8)
            bind(text, to: override ?? own)
        }
        return true
    }

    func bind(_ address: String, to driver: String?) {
        let link = "\(place(address))/driver"
        unlink(link)
        if let driver { symlink("\(folder.path)/sys/bus/pci/drivers/\(driver)", link) }
    }
}
