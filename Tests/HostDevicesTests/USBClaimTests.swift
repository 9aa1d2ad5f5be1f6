import Devices
import Foundation
import Platform
import Testing

@testable import HostDevices

@Suite("Claiming a USB device of this host, and giving it back")
struct USBClaimTests {
    let host: USBHost
    let usb: USBFolder
    let vm: VMName

    init() throws {
        host = try USBHost()
        try host.addBus(2, version: " 3.00")
        usb = try host.add("2-1")
        vm = try VMName("work")
    }

    private var devices: HostUSBDevices { HostUSBDevices(root: host.root, patience: .zero) }
    private var notes: String { "\(host.folder.path)/run/vmdev/usb" }
    private var probe: String { "\(host.folder.path)/sys/bus/usb/drivers_probe" }

    private func kind(_ device: Device) -> SourceError.Kind? {
        do {
            _ = try devices.claim(device, for: vm, readOnly: false, options: .none)
            return nil
        } catch {
            return error.kind
        }
    }

    @Test("A device whose node has gone is gone; a node of another number is not taken for the device's")
    func node() throws {
        let device = try #require(host.device(usb))
        #expect(kind(device) == .gone)
        try host.folder.write("dev/bus/usb/002/004", "a file")
        #expect(kind(device) == .changed)
        #expect((try? names(in: notes)) ?? [] == [], "nothing is noted for what was not claimed")
    }

    @Test(
        "A device that was plugged out and in again, or that says it is another, is not claimed for the one listed")
    func changed() throws {
        // A node of that number that says nothing: /dev/null in the place of the device's.
        try host.folder.link("dev/bus/usb/002/004", to: "/dev/null")
        let silent = try #require(host.device(host.add("2-2", attributes: ["dev": "1:3"])))
        #expect(kind(silent) == .changed)
        try host.folder.write("sys/devices/pci0000:00/0000:00:14.0/usb2/2-2/devnum", "5\n")
        #expect(kind(silent) == .changed)
    }

    @Test("A stick whose disk somebody has open for himself is in use, before anything of it is taken")
    func busyDisk() throws {
        let loop = try LoopDevice()
        let number = try #require(try HostSource(root: .host).device(in: loop.port)?.block?.number)
        try host.addDisk("\(loop.port)", "\(number)", of: usb)
        try host.folder.link("dev/\(loop.port)", to: loop.node)
        let sectors = 16 << 20 / 512
        let disk = "sys/devices/pci0000:00/0000:00:14.0/usb2/2-1/host1/block/\(loop.port)"
        try host.folder.write("\(disk)/size", "\(sectors)\n")
        try host.folder.write("\(disk)/loop/backing_file", "\(loop.file)\n")
        let device = try #require(host.device(usb))
        let holder = try Descriptor.open(loop.node, .exclusive)
        #expect(kind(device) == .inUse(.part(loop.port, .busy)))
        withExtendedLifetime(holder) {}
    }

    /// Notes that a killed QEMU left the device without a driver.
    private func abandon(for owner: String) throws {
        try FileManager.default.createDirectory(atPath: notes, withIntermediateDirectories: true)
        try host.folder.write("run/vmdev/usb/2-1", owner)
        try host.folder.write("sys/bus/usb/drivers_probe", "")
    }

    @Test("The host's drivers are asked for the interfaces that a killed QEMU left without one, once")
    func giveBack() throws {
        try abandon(for: "work")
        try devices.giveBack(Port("2-1", of: .usb), from: vm)
        #expect(try contents(of: probe) == Array("2-1:1.0".utf8))
        #expect(try names(in: notes) == [])
        try host.folder.write("sys/bus/usb/drivers_probe", "")
        #expect(try devices.giveBackAll(from: vm) == [])
        #expect(try contents(of: probe) == [])
    }

    @Test("What another VM has, what a process still has, and what a driver has already is left alone")
    func leftAlone() throws {
        try abandon(for: "other")
        #expect(try devices.giveBackAll(from: vm) == [])
        #expect(try names(in: notes) == ["2-1"])

        try abandon(for: "work")
        try host.folder.write("run/vmdev/locks/usb-pci-0000:00:14.0-usbv3-0:1", "")
        let lock = try Descriptor.open(
            "\(host.folder.path)/run/vmdev/locks/usb-pci-0000:00:14.0-usbv3-0:1", .readWrite)
        #expect(try lock.tryLock(.exclusive))
        #expect(try devices.giveBackAll(from: vm) == [])
        #expect(try lock.tryLock(.none))

        try host.folder.write("sys/devices/pci0000:00/0000:00:14.0/usb2/2-1/2-1:1.0/driver/x", "")
        #expect(try devices.giveBackAll(from: vm) == [])
        #expect(try contents(of: probe) == [])
    }
}
