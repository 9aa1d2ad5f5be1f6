import Foundation
import Platform

/// A real QEMU, paused before its first instruction, as qemu@.service starts it. It is gone when the value goes.
final class VM {
    /// What a VM has for devices to go to.
    enum Room {
        /// So many free pcie-root-ports.
        case rootPorts(Int)
        /// A virtio-scsi controller.
        case scsi
        /// An xHCI controller.
        case usb
        /// The old PC's PCI bus.
        case i440fx

        var arguments: [String] {
            switch self {
            case .rootPorts(let count):
                (0..<count).flatMap { ["-device", "pcie-root-port,id=spare\($0),chassis=\(100 + $0)"] }
            case .scsi: ["-device", "virtio-scsi-pci,id=scsi0"]
            case .usb: ["-device", "qemu-xhci,id=xhci"]
            case .i440fx: []
            }
        }

        var machine: String {
            if case .i440fx = self { "pc" } else { "q35" }
        }
    }

    let name: String
    let process: Child
    /// Our own view into it.
    let monitor: Monitor

    /// Starts a VM of the host and waits until it can be asked; `answersTo` when QEMU is to say another name.
    init(
        _ name: String, on host: ScratchHost, room: Room = .rootPorts(4), guest: Guest? = nil,
        answersTo: String? = nil, arguments: [String] = []
    ) throws {
        if let unmet = Requirement.wholeHost { throw Failure("this test \(unmet)") }
        self.name = name
        let command =
            [
                "-name", answersTo ?? name, "-S", "-machine", room.machine, "-accel", "tcg",
                "-m", guest == nil ? "32" : "256", "-nodefaults", "-no-user-config", "-display", "none",
                "-no-reboot",
                "-qmp", "unix:\(host.root)/run/vmdev/qmp/\(name).sock,server=on,wait=off",
                "-chardev", "socket,id=view,fd=3", "-mon", "chardev=view,mode=control",
            ] + room.arguments + (guest?.arguments ?? []) + arguments
        let view: Descriptor
        (process, view) = try VM.start(command)
        do {
            monitor = try Monitor(view)
        } catch {
            process.kill()
            throw Failure("\(error): \(try process.finish().errors)")
        }
    }

    /// Only QEMU keeps its end of the view, so that its end is seen there at once.
    private static func start(_ command: [String]) throws -> (Child, Descriptor) {
        let (ours, theirs) = try connectedPair()
        return (
            try Child("setpriv", ["--pdeathsig", "KILL", "qemu-system-x86_64"] + command, passing: theirs), ours
        )
    }

    /// Pulls its plug.
    func kill() { process.kill() }

    /// Whether QEMU has ended by itself without the VM having run one instruction.
    func endedWithoutRunning() throws -> Bool {
        let events = try monitor.eventsUntilEnd()
        return try process.finish().status == 0 && !events.contains("RESUME")
    }
}

/// The test guest: what it is started with, and what it says.
struct Guest {
    let arguments: [String]

    /// Makes the guest if there is none yet. It waits for `disks` disks before it tells them, then ends, unless it stays.
    init(disks: Int, stays: Bool = false) throws {
        let folder = try Guest.folder.get()
        let kernel = try String(contentsOfFile: folder + "/arguments", encoding: .utf8)
            .trimmingCharacters(in: .newlines)
        arguments = [
            "-kernel", folder + "/kernel", "-initrd", folder + "/initramfs", "-serial", "stdio",
            "-append", "\(kernel) guest.disks=\(disks)" + (stays ? " guest.stay" : ""),
        ]
    }

    private static let folder = Result {
        try tool(packageFolder + "/Tests/System/Guest/make-guest", packageFolder + "/.build/guest")
    }
}

/// A disk as the guest sees it.
struct GuestDisk: Equatable {
    let size: Int
    let readOnly: Bool
    let serial: String
    let text: String

    /// Reads `guest: disk vda size=… ro=… serial=… sha256=… text=…`.
    init?(line: some StringProtocol) {
        let fields = line.trimmingCharacters(in: .whitespacesAndNewlines).split(separator: " ", maxSplits: 7)
        guard fields.count == 8, fields[0] == "guest:", fields[1] == "disk" else { return nil }
        func value(_ index: Int) -> String {
            String(fields[index].split(separator: "=", maxSplits: 1).dropFirst().first ?? "")
        }
        size = Int(value(3)) ?? -1
        readOnly = value(4) == "1"
        serial = value(5)
        text = value(7)
    }

    init(size: Int, readOnly: Bool, serial: String, text: String) {
        self.size = size
        self.readOnly = readOnly
        self.serial = serial
        self.text = text
    }
}

extension VM {
    /// Lets the guest boot to its end, and answers the disks that it saw.
    func disksSeenByGuest() throws -> [GuestDisk] {
        let outcome = try process.finish(within: .seconds(600))
        guard outcome.output.contains("guest: disks end") else {
            throw Failure("the guest did not boot: \(outcome)")
        }
        return outcome.output.split(whereSeparator: \.isNewline).compactMap { GuestDisk(line: $0) }
    }

    /// Waits until a guest that stays says that, and answers the disks of each of its listings so far.
    func console(upTo text: String) throws -> String {
        try process.output(upTo: text, within: .seconds(600))
    }
}
