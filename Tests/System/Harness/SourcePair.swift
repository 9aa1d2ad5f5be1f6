import Devices
import Foundation
import Glibc
import Platform
import TestSupport

/// A guest with a shell on its serial port, which its host talks to over a socket.
final class Console {
    private let socket: UnixSocket
    private var heard = ""
    private var number = 0
    private var running = ""

    /// Connects and waits until the guest is up.
    init(_ path: String) throws {
        socket = try UnixSocket.connect(to: path, until: Deadline(after: .seconds(60)))
        _ = try hear("guest: ready\n", within: .seconds(240))
        // What the kernel says of devices that come and go would be in between what commands say.
        try run("echo 1 >/proc/sys/kernel/printk")
    }

    /// Runs a command and answers what it says; one that fails is an error.
    @discardableResult
    func run(_ command: String, within time: Duration = .seconds(120)) throws -> String {
        try start(command)
        return try finish(within: time)
    }

    /// Starts a command, whose end is waited for by `finish`.
    func start(_ command: String) throws {
        number += 1
        running = command
        let line = "\(command); echo guest: end \(number) $?\n"
        guard try socket.send(Array(line.utf8), until: Deadline(after: .seconds(60))) else {
            throw Failure("the guest does not take: \(command)")
        }
    }

    /// What the command that was started said, once it has ended.
    func finish(within time: Duration = .seconds(120)) throws -> String {
        let output = try hear("guest: end \(number) ", within: time)
        let status = try hear("\n", within: time)
        guard status == "0" else { throw Failure("in the guest: \(running): status \(status): \(output)") }
        return output.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// What was said up to `text`.
    private func hear(_ text: String, within time: Duration) throws -> String {
        let deadline = Deadline(after: time)
        while true {
            if let range = heard.range(of: text) {
                defer { heard.removeSubrange(..<range.upperBound) }
                return String(heard[..<range.lowerBound])
            }
            let bytes: [UInt8]?
            do { bytes = try socket.read(upTo: 65_536, until: deadline) } catch { bytes = nil }
            guard let bytes, !bytes.isEmpty else {
                throw Failure("the guest does not say '\(text)'; it said:\n\(heard)")
            }
            heard += String(decoding: bytes, as: UTF8.self)
        }
    }
}

/// Two real VMs of one host: `sys-usb`, which has a stick and a disk and exports them over TCP, and `work`, which has neither.
final class SourcePair {
    let host: ScratchHost
    /// What the source's devices are made of.
    let stick = temporaryPath("stick")
    let disk = temporaryPath("disk")
    private let port: UInt16
    private let channel: Int
    /// Where the host listens for what the source announces.
    private let calls: UInt16
    private let kernel: String
    private let initrd: String
    private let commandLine: String
    /// What runs the target VM; the source is always one of plain QEMU, which to the other is as if it were elsewhere.
    let hypervisor: TargetHypervisor
    private let daemon: LibvirtDaemon?

    init(on host: ScratchHost, _ hypervisor: TargetHypervisor) throws {
        self.host = host
        self.hypervisor = hypervisor
        daemon = hypervisor == .libvirt ? try LibvirtDaemon(in: TemporaryFolder(of: host.root)) : nil
        let folder = try tool(
            packageFolder + "/Tests/System/Guest/make-source", packageFolder + "/.build/guest",
            releaseFolder + "/vmdev-export")
        commandLine = try String(contentsOfFile: folder + "/arguments", encoding: .utf8)
            .trimmingCharacters(in: .newlines)
        kernel = folder + "/kernel"
        initrd = folder + "/initramfs"
        channel = SourceAddress.channel(for: try Port("sdb", of: .block), of: .block)
        port = try SourcePair.freePort(with: channel)
        calls = try SourcePair.freePort(with: 1)
        for path in [stick, disk] {
            let bytes = Data(
                (0..<(4 << 20) / 8).flatMap { _ in withUnsafeBytes(of: UInt64.random(in: 0 ... .max), Array.init) })
            try bytes.write(to: URL(filePath: path))
        }
        try host.write(
            "/etc/vmdev/vmdev.conf", "\(hypervisor.settings)[Source sys-usb]\nAddress=tcp:127.0.0.1:\(port)\n")
    }

    deinit { for path in [stick, disk] { unlink(path) } }

    /// Starts the source VM, and waits until it answers.
    func startSource() throws -> (VM, Console) {
        let path = host.root + "/run/sys-usb.console"
        let vm = try VM(
            "sys-usb", on: host, room: .usb,
            arguments: serial(path) + [
                "-m", "384", "-kernel", kernel, "-initrd", initrd, "-append", "\(commandLine) guest.host=\(calls)",
                "-netdev",
                "user,id=n,hostfwd=tcp:127.0.0.1:\(port)-:4900,"
                    + "hostfwd=tcp:127.0.0.1:\(Int(port) + channel)-:\(4900 + channel)",
                "-device", "virtio-net-pci,netdev=n",
                "-blockdev", "driver=raw,node-name=stick,file.driver=file,file.filename=\(stick)",
                "-device", "usb-storage,id=plug,bus=xhci.0,drive=stick,serial=STICK01",
                "-device", "virtio-scsi-pci", "-drive", "if=none,id=disk,format=raw,file=\(disk)",
                "-device", "scsi-hd,drive=disk,serial=DISK01",
            ])
        try vm.monitor.execute("cont")
        return (vm, try Console(path))
    }

    /// Pulls the stick out of the source VM.
    func pull(from source: VM) throws {
        try source.monitor.execute("device_del", ["id": "plug"])
        try source.monitor.wait(for: "DEVICE_DELETED")
    }

    /// Plugs it in again.
    func plug(into source: VM) throws {
        try source.monitor.execute(
            "device_add",
            ["driver": "usb-storage", "id": "plug", "bus": "xhci.0", "drive": "stick", "serial": "STICK01"])
    }

    /// Listens for the next call of the source, as vmdev-announced.socket does; what comes of it is said when it ends.
    func listen() throws -> Child {
        let child = try Child(
            "systemd-socket-activate",
            ["-l", "127.0.0.1:\(calls)", program("vmdev-apply"), "--root=\(host.root)", "--announced"])
        let place = "0100007F:" + String(calls, radix: 16, uppercase: true)
        let deadline = Deadline(after: .seconds(60))
        while !(String(decoding: try contents(of: "/proc/net/tcp"), as: UTF8.self).contains(
            "\(place) 00000000:0000 0A"))
        {
            if deadline.hasPassed { throw Failure("nobody listens at port \(calls)") }
        }
        return child
    }

    /// Starts the target VM, paused before its first instruction.
    func startTarget() throws -> any Target {
        guard let daemon else {
            return try VM(
                "work", on: host, room: .rootPorts(2),
                arguments: [
                    "-m", "384", "-kernel", kernel, "-initrd", initrd, "-append", "\(commandLine) guest.target",
                ] + serial(targetConsole) + ["-device", "qemu-xhci,id=vmdev-usb,p2=15,p3=15"])
        }
        unlink(targetConsole)
        return try LibvirtTarget(
            on: host, daemon, kernel: kernel, initrd: initrd, commandLine: "\(commandLine) guest.target",
            console: targetConsole)
    }

    /// The console of the target VM, once that runs.
    func console() throws -> Console { try Console(targetConsole) }

    private var targetConsole: String { host.root + "/run/work.console" }

    private func serial(_ path: String) -> [String] {
        unlink(path)
        return ["-chardev", "socket,id=console,path=\(path),server=on,wait=off", "-serial", "chardev:console"]
    }

    /// A port of the loopback address that nobody has, and neither its channel.
    private static func freePort(with channel: Int) throws -> UInt16 {
        for _ in 0..<200 {
            let port = UInt16.random(in: 20_000...30_000)
            if isFree(port) && isFree(port + UInt16(channel)) { return port }
        }
        throw Failure("no two ports are free")
    }

    private static func isFree(_ port: UInt16) -> Bool {
        let descriptor = Descriptor(owning: socket(AF_INET, Int32(SOCK_STREAM.rawValue) | 0o2_000_000, 0))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor.raw, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        } == 0
    }
}

/// The checksum of a file, as sha256sum has it.
func checksum(_ path: String) throws -> String {
    String(try tool("sha256sum", path).split(separator: " ").first ?? "")
}
