import Devices
import Foundation
import Hypervisors
import Platform
import TestSupport

/// A machine that QEMU can be.
enum Machine: String, CaseIterable, Sendable {
    case q35, i440fx, microvm

    /// Its name on QEMU's command line.
    var argument: String { self == .i440fx ? "pc" : rawValue }
}

/// A real QEMU that waits before its first instruction; it ends with the last reference.
final class QEMUProcess: @unchecked Sendable {
    let name: VMName
    private let folder: TemporaryFolder
    private let process = Process()

    /// Starts QEMU with `ports` free PCI Express ports (q35 only) and more arguments.
    init(
        _ name: String = "work", machine: Machine = .q35, ports: Int = 0, arguments: [String] = [],
        in folder: TemporaryFolder? = nil, socket: String? = nil, named: Bool = true
    ) throws {
        self.name = try VMName(name)
        self.folder = try folder ?? TemporaryFolder()
        let socket = socket ?? self.folder.path + "/\(name).sock"
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments =
            [
                "qemu-system-x86_64", "-machine", machine.argument, "-accel", "tcg", "-S", "-display", "none",
                "-nodefaults", "-no-user-config", "-m", "32", "-qmp", "unix:\(socket),server=on,wait=off",
            ] + (named ? ["-name", name] : [])
            + (0..<ports).flatMap {
                ["-device", "pcie-root-port,id=rp\($0),bus=pcie.0,chassis=\($0 + 1),slot=\($0 + 1)"]
            } + arguments
        process.standardInput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
    }

    deinit { kill() }

    var pid: Int32 { process.processIdentifier }

    /// Whether it has ended, by the kernel's word: Foundation hears of it later.
    var hasEnded: Bool {
        get throws { try ProcessHandle(pid: pid)?.waitForEnd(until: Deadline(after: .zero)) ?? true }
    }

    /// Stops it as a bug would: it is there and answers nothing.
    func hang() { Foundation.kill(pid, SIGSTOP) }

    /// The hypervisor that this VM is on.
    var hypervisor: QEMU { folder.qemu }

    /// Connects as soon as it is up.
    func connect() throws -> any RunningVM {
        try hypervisor.connect(to: name, until: Deadline(after: .seconds(120)), waiting: true)
    }

    /// Ends it as a crash does, and waits until it has gone.
    func kill() {
        guard process.isRunning else { return }
        Foundation.kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }
}

extension TemporaryFolder {
    /// QEMU with its sockets in this folder.
    var qemu: QEMU {
        QEMU(root: Root(path), socket: VMNamePattern(before: "/", after: ".sock"), timeout: .seconds(120))
    }
}
