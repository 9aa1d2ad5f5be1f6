import Foundation
import Testing

extension Trait where Self == ConditionTrait {
    /// Real disks: where there can be none the tests are skipped, except in CI, where they fail.
    static var needsLoopDevices: Self {
        .enabled(
            if: inCI || getuid() == 0 && FileManager.default.fileExists(atPath: "/dev/loop-control"),
            "needs root and loop devices")
    }

    /// A real QEMU; likewise.
    static var needsQEMU: Self {
        .enabled(if: inCI || isInstalled("qemu-system-x86_64"), "needs qemu-system-x86_64 (qemu-system-x86)")
    }
}

extension Trait where Self == ConditionTrait {
    /// A real libvirtd, which the tests start themselves; likewise.
    static var needsLibvirt: Self {
        .enabled(
            if: inCI || getuid() == 0 && isInstalled("libvirtd") && isInstalled("virsh"),
            "needs root, libvirtd (libvirt-daemon) and virsh (libvirt-clients)")
    }
}

private var inCI: Bool { ProcessInfo.processInfo.environment["CI"] != nil }

private func isInstalled(_ program: String) -> Bool {
    (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
        .contains { FileManager.default.isExecutableFile(atPath: "\($0)/\(program)") }
}
