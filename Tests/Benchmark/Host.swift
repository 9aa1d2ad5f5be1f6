import Foundation
import Glibc

/// A host in a folder: its own /etc and /run, the machine's /dev and /sys, and disks on loop devices.
final class Host {
    let root: String
    private(set) var disks: [String] = []

    init() throws {
        root = try output(of: ["mktemp", "-d", "/tmp/vmdev-bench.XXXXXX"])
        try run(["mkdir", "-p", root + "/etc/vmdev", root + "/run/vmdev/qmp"])
        for name in ["dev", "sys"] { try run(["ln", "-s", "/\(name)", "\(root)/\(name)"]) }
    }

    deinit {
        for disk in disks { _ = try? run(["losetup", "--detach", disk]) }
        _ = try? run(["rm", "-rf", root])
    }

    /// Sees to it that there are that many disks.
    func need(_ count: Int) throws {
        while disks.count < count {
            let file = "\(root)/\(disks.count).img"
            try run(["truncate", "--size=16M", file])
            disks.append(try output(of: ["losetup", "--find", "--show", file]))
        }
    }

    func port(_ index: Int) -> String { String(disks[index].dropFirst("/dev/".count)) }

    func write(table rows: [String]) throws {
        try (rows.joined(separator: "\n") + "\n").write(
            toFile: table, atomically: false, encoding: .utf8)
    }

    var table: String { root + "/etc/vmdev/assignments" }

    func socket(_ vm: String) -> String { "\(root)/run/vmdev/qmp/\(vm).sock" }

    /// Starts a paused QEMU with places for that many disks, and returns when it serves its socket.
    func start(_ vm: String, places: Int) throws -> Running {
        let socket = socket(vm)
        unlink(socket)
        // Eight ports a slot: the bus has 32 of these.
        let ports = (0..<places).flatMap { number in
            [
                "-device",
                "pcie-root-port,id=rp\(number + 1),chassis=\(number + 1),addr=\(hex(number / 8 + 2)).\(number % 8)"
                    + (number % 8 == 0 ? ",multifunction=on" : ""),
            ]
        }
        let qemu = try Running(
            [
                "qemu-system-x86_64", "-name", vm, "-S", "-machine", "q35,accel=tcg", "-m", "64", "-nodefaults",
                "-display", "none", "-qmp", "unix:\(socket),server=on,wait=off",
            ] + ports)
        // When it has answered once, nothing of its own start is measured any more.
        try run([root + "/bare-client", "--greeting", socket])
        return qemu
    }

    private func hex(_ number: Int) -> String { "0x" + String(number, radix: 16) }
}
