internal import CLinux
internal import Devices
internal import Platform

/// The capture devices of this host's sound cards, as ALSA has them: each in its own port, and the first of them in the
/// port `mic` as well.
///
/// Only what the kernel says is needed, so that udev need not have finished with them.
struct HostMicrophones: HostClass {
    /// Where /sys and /dev are.
    let root: Root
    /// Where ALSA tells what it has: /proc/asound, but in a test.
    let reports: String

    /// Looks under `root` and at `reports`.
    init(root: Root, reports: String = "/proc/asound") {
        self.root = root
        self.reports = reports
    }

    private static let mic = try? Port("mic", of: .mic)

    /// All of them, in the order of their ports: the short name of the first one leads.
    func devices() throws(SourceError) -> [Device] {
        let entries: [String]
        do throws(SystemCallError) { entries = try names(in: root.path("/sys/class/sound")) } catch {
            // A host without sound has no such folder.
            if error.isMissing { return [] }
            throw SourceError(error)
        }
        let found = entries.compactMap { CaptureDevice(sysname: $0, root: root) }
            .sorted { ($0.card, $0.device) < ($1.card, $1.device) }
        guard let first = found.first else { return [] }
        let report = SoundReport(folder: reports)
        return ([device(first, in: HostMicrophones.mic, report)] + found.map { device($0, in: $0.port, report) })
            .compactMap { $0 }
    }

    /// What is known of a port without a capture device.
    func absence(of port: Port) -> String? {
        let cards = ((try? names(in: root.path("/sys/class/sound"))) ?? []).filter {
            $0.hasPrefix("card") && Int($0.dropFirst(4)) != nil
        }
        if cards.isEmpty { return "this host has no sound card, or its driver is not loaded" }
        let numbers = port.description.split(separator: "-").dropFirst().compactMap { Int($0) }
        guard let card = numbers.first else { return "no sound card of this host can record" }
        guard cards.contains("card\(card)") else { return "this host has no sound card \(card)" }
        return "sound card \(card) has no such capture device"
    }

    /// Makes sure that it is still the same device and that its node is there; the VM's backend opens that itself.
    func claim(
        _ device: Device, for vm: VMName, readOnly: Bool, options: DeviceOptions
    ) throws(SourceError) -> Descriptor? {
        guard let mic = device.mic else {
            throw SourceError(.unreadable, "\(device.name) is not a capture device of this host")
        }
        guard let now = CaptureDevice(sysname: "pcmC\(mic.card)D\(mic.device)c", root: root) else {
            throw SourceError(.gone, "\(device.name) has gone", remedy: "Plug it in again.")
        }
        guard now.canonical == device.canonical, now.identities == device.identities else {
            throw SourceError(
                .changed, "\(device.name) changed while it was being claimed: it is another device now",
                remedy: "Try again.")
        }
        guard isNode(now.node, now.number) else {
            throw SourceError(
                .gone, "\(device.name) has no node \(now.node)",
                remedy: "Have udev make it: udevadm trigger --subsystem-match=sound.")
        }
        return nil
    }

    private func device(_ found: CaptureDevice, in port: Port?, _ report: SoundReport) -> Device? {
        guard let port else { return nil }
        let user = report.user(of: found)
        return Device(
            .mic, source: .host, port: port, identities: found.identities, title: report.title(of: found),
            canonical: found.canonical,
            cautions: user.map {
                [
                    "\($0) of this host records from it now: until that ends only a backend that shares it (dsnoop) records too"
                ]
            } ?? [],
            details: .mic(
                Device.Mic(card: found.card, cardName: found.cardName, device: found.device, number: found.number)))
    }

    private func isNode(_ node: String, _ expected: Device.Number?) -> Bool {
        guard let open = try? Descriptor.open(root.path(node), [.path]) else { return false }
        var (major, minor): (UInt32, UInt32) = (0, 0)
        var isBlock: Int32 = 0
        guard unsafe vmdev_node_number(open.raw, &major, &minor, &isBlock) == 0, isBlock == 0 else { return false }
        return Device.Number(major: major, minor: minor) == expected
    }
}
