public import Devices

/// The drop-ins for the unit of one VM: one applies the VM's assignments, one orders it after the VMs that expose its devices.
public struct DropIn: Hashable, Sendable {
    /// The VM.
    public let vm: VMName
    /// Units that are started with it and that it comes after.
    public let after: [String]
    /// How long a device is waited for at most; nil when none is waited for longer than usual.
    public let wait: Duration?
    /// What it was made from.
    public let sourcePath: String

    /// Whether the unit starts the VM as a whole, as Qubes OS does: looked at before and after.
    public let isStartedWhole: Bool

    /// The file's name. That of the drop-in for all VMs of a template, so that a VM that has both is hooked once.
    public var fileName: String { isStartedWhole ? "50-vmdev.conf" : "vmdev.conf" }

    /// Describes the drop-in.
    public init(
        vm: VMName, after: [String], wait: Duration? = nil, sourcePath: String, isStartedWhole: Bool = false
    ) {
        self.vm = vm
        self.after = after
        self.wait = wait
        self.sourcePath = sourcePath
        self.isStartedWhole = isStartedWhole
    }

    /// What stands above all else.
    private static func head(_ sourcePath: String) -> [String] {
        [
            "# Made by vmdev-generator: change the assignments instead, and run 'systemctl daemon-reload'.",
            "[Unit]",
            "SourcePath=\(sourcePath)",
        ]
    }

    /// The name of the file that says what the unit comes after and how long its start may take. It is one of its own: where
    /// the drop-in for all VMs of a template was put into /etc, that is taken in place of ours of the same name.
    public static let needsFileName = "vmdev-needs.conf"

    /// What is in that file; nil when the unit needs nothing of the kind.
    ///
    /// Not `Requires=`: with that, systemd would stop or restart this VM with each that exposes a device to it. Without its
    /// devices it does not start all the same, and says why.
    public var needsText: String? {
        let start = startTimeout.map { ["", "[Service]", "TimeoutStartSec=\($0)"] } ?? []
        guard !after.isEmpty || !start.isEmpty else { return nil }
        return (DropIn.head(sourcePath) + order + start + [""]).joined(separator: "\n")
    }

    /// The same for the oneshot by itself, for a VM that no unit starts; nil when it comes after nothing.
    public var oneshotText: String? {
        guard !after.isEmpty, !isStartedWhole else { return nil }
        return (DropIn.head(sourcePath) + order + [""]).joined(separator: "\n")
    }

    private var order: [String] { after.map { "Wants=\($0)" } + after.map { "After=\($0)" } }

    /// What is in the drop-in for the unit of a VM that exposes devices: when it is up, VMs that run get what they have
    /// assigned of it; when it has ended, nobody waits for it any more, and the journal says what they have lost.
    public static func sourceText(of source: VMName, sourcePath: String) -> String {
        let unit = "vmdev-source@\(source).service"
        return
            (head(sourcePath) + [
                "Wants=\(unit)", "Before=\(unit)", "PropagatesStopTo=\(unit)", "", "[Service]",
                "ExecStopPost=-+/usr/lib/vmdev/vmdev-apply --source-changed=\(source)", "",
            ]).joined(separator: "\n")
    }

    /// The name of that file.
    public static let sourceFileName = "vmdev-source.conf"

    /// What is in the file.
    public var text: String {
        let calls =
            isStartedWhole
            ? [
                "ExecStartPre=+/usr/lib/vmdev/vmdev-apply --prepare \(vm)",
                "ExecStartPost=+/usr/lib/vmdev/vmdev-apply --boot \(vm)",
            ]
            : [
                "ExecStartPost=+/usr/lib/vmdev/vmdev-apply --boot \(vm)",
                "ExecStopPost=+/usr/lib/vmdev/vmdev-apply --release \(vm)",
            ]
        return (DropIn.head(sourcePath) + ["", "[Service]"] + calls + ["NotifyAccess=exec", ""]).joined(
            separator: "\n")
    }

    /// The wait and what systemd gives a start by itself, where that leaves too little beside the wait.
    private var startTimeout: String? {
        // A unit that starts a VM as a whole is a oneshot, whose start takes as long as it takes.
        guard let wait, wait > .seconds(60), !isStartedWhole else { return nil }
        return wait >= TimeSpan.infinity.duration ? "infinity" : "\(wait.components.seconds + 90)s"
    }
}
