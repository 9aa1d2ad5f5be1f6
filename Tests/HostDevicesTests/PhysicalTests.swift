import Devices
import Platform
import Testing

@testable import HostDevices

@Suite("What devices of this host hang on")
struct PhysicalTests {
    /// A place in the kernel's tree and the keys of what is above it.
    static let places: [(String, [String])] = [
        ("pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0/0:0:0:0/block/sda", ["pci-0000:00:1f.2"]),
        ("pci0000:00/0000:00:1c.0/0000:01:00.0/nvme/nvme0/nvme0n1", ["pci-0000:00:1c.0", "pci-0000:01:00.0"]),
        ("pci0000:00/0000:00:1b.0/sound/card0", ["pci-0000:00:1b.0"]),
        (
            "pci0000:00/0000:00:0e.0/pci10000:e0/10000:e0:06.0/nvme/nvme0",
            ["pci-0000:00:0e.0", "pci-10000:e0:06.0"]
        ),
        (
            "pci0000:00/0000:00:14.0/usb2/2-1/2-1.4/2-1.4:1.0/host6/block/sdb",
            ["usb-pci-0000:00:14.0-usb-0:1.4", "pci-0000:00:14.0"]
        ),
        ("platform/soc/fe9c0000.usb/xhci-hcd.0/usb1/1-1", ["usb-platform-xhci-hcd.0-usb-0:1"]),
        (
            "pci0000:00/0000:00:0d.1/dwc3.1.auto/xhci hcd:2/usb1/1-3",
            ["usb-pci-0000:00:0d.1-platform-xhci_hcd_2-usb-0:3", "pci-0000:00:0d.1"]
        ),
        ("pci0000:00/0000:00:14.0/usb2/2-0:1.0", ["pci-0000:00:14.0"]), ("virtual/block/loop0", []),
    ]

    @Test("A device is under the names of all that it hangs on, and each name can be a file's", arguments: places)
    func parents(place: String, keys: [String]) {
        let found = PhysicalParents(path: "/nowhere/sys/devices/\(place)").keys
        #expect(found == keys)
        #expect(
            found.allSatisfy { $0.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || ".:_-".contains($0)) } }
        )
    }

    @Test("A namespace that several controllers reach hangs on each of them")
    func multipath() throws {
        let folder = try TemporaryFolder()
        for (name, address) in [("nvme0", "0000:01:00.0"), ("nvme1", "0000:02:00.0")] {
            try folder.write("sys/devices/pci0000:00/\(address)/nvme/\(name)/x", "")
            try folder.link(
                "sys/devices/virtual/nvme-subsystem/nvme-subsys0/\(name)",
                to: "\(folder.path)/sys/devices/pci0000:00/\(address)/nvme/\(name)")
        }
        let path = "\(folder.path)/sys/devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n1"
        let number = Device.Number(major: 259, minor: 0)
        let canonical = BlockStack(root: Root(folder.path), loops: LoopTable(root: Root(folder.path)))
            .canonical(BlockFolder(path: path), number)
        #expect(canonical.beneath == ["pci-0000:01:00.0", "pci-0000:02:00.0"])
    }

    static let ipv4 = """
        Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
        br0\t00000000\t0202000A\t0003\t0\t0\t0\t00000000\t0\t0\t0
        eth9\t0002000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0

        """
    static let ipv6 = """
        00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003 wlan0
        fe800000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001 eth9
        00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 00200200 lo

        """

    @Test("The way to the default gateways is found, through bridges, in IPv4 and IPv6, and only real routes count")
    func gateways() throws {
        let folder = try TemporaryFolder()
        try folder.write("sys/class/net/br0/lower_bond0/x", "")
        try folder.write("sys/class/net/bond0/lower_eth1/x", "")
        let network = HostNetwork(
            ipv4: Array(PhysicalTests.ipv4.utf8), ipv6: Array(PhysicalTests.ipv6.utf8), root: Root(folder.path))
        #expect(network.gatewayInterfaces == ["br0", "bond0", "eth1", "wlan0"])
        #expect(HostNetwork(ipv4: [], ipv6: [0xff, 0x0a], root: Root(folder.path)).gatewayInterfaces == [])
    }

    @Test("A network card over which the host reaches its gateway cannot be spared, and its neighbour can")
    func essential() throws {
        let host = try USBHost()
        try host.addBus(1)
        let usb = try host.add("1-3", interfaces: ["020600"])
        let other = try host.add("1-4", interfaces: ["020600"], address: 5)
        for (name, device) in [("enx1", usb), ("enx2", other)] {
            let path = String(device.path.dropFirst(host.folder.path.utf8.count + 1)) + "/net/\(name)"
            try host.folder.write("\(path)/ifindex", "2\n")
            try host.folder.link("sys/class/net/\(name)", to: "\(host.folder.path)/\(path)")
        }
        let table = "Iface\nenx1\t00000000\t0202000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
        #expect(host.device(usb, ipv4: table)?.uses == [.essential("the way to the default gateway (enx1)")])
        #expect(host.device(other, ipv4: table)?.uses == [])
    }
}
