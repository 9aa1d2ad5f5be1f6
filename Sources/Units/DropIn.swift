public import Devices

/// The drop-in for the unit of one VM: it applies the VM's assignments, after the VMs that expose its devices.
public struct DropIn: Hashable, Sendable {
    /// The VM.
    public let vm: VMName
    /// Units without which it cannot start.
    public let requires: [String]
    /// Units that it comes after, those in `requires` included.
    public let after: [String]
    /// What it was made from.
    public let sourcePath: String

    /// The file's name. That of the drop-in for all VMs of a template, so that a VM that has both is hooked once.
    public static let fileName = "vmdev.conf"

    /// Describes the drop-in.
    public init(vm: VMName, requires: [String], after: [String], sourcePath: String) {
        self.vm = vm
        self.requires = requires
        self.after = after
        self.sourcePath = sourcePath
    }

    /// What is in the file.
    public var text: String {
        var lines = [
            "# Made by vmdev-generator: change the assignments instead, and run 'systemctl daemon-reload'.",
            "[Unit]",
            "SourcePath=\(sourcePath)",
        ]
        let wants = after.filter { !requires.contains($0) }
        lines += requires.map { "Requires=\($0)" } + wants.map { "Wants=\($0)" } + after.map { "After=\($0)" }
        lines += [
            "", "[Service]", "ExecStartPost=+/usr/lib/vmdev/vmdev-apply --boot \(vm)",
            "ExecStopPost=+/usr/lib/vmdev/vmdev-apply --release \(vm)", "NotifyAccess=exec", "",
        ]
        return lines.joined(separator: "\n")
    }
}
