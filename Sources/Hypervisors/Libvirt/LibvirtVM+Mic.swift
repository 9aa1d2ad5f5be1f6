internal import Devices
internal import Platform

/// Microphones: libvirt plugs no sound card into a domain that is there ("live attach of device 'sound' is not
/// supported"), so that it has to be in the description with which the domain is started (`LibvirtStart`).
extension LibvirtVM {
    /// A microphone that is there is all that can be attached; of one that is not, how to start the domain with it.
    func checkPresence(ofMic request: AttachRequest) throws(HypervisorError) {
        guard try !attachments().contains(request.id) else { return }
        throw HypervisorError(
            .noRoom,
            "VM \(name) was started without a sound card for \(request.device.name), and libvirt adds none later",
            remedy: """
                Start it with: systemctl start libvirt-vm@\(name). To have it whoever starts it, add to its devices with \
                'virsh edit \(name)': \
                \(request.device.mic.map { LibvirtStart.sound(of: $0, request.id, audio: 1).map(\.xml).joined() } ?? "")
                """)
    }

    /// What is wrong with a sound card in the live description; nil when nothing is.
    func objection(
        toSound element: XMLElement, _ mic: Device.Mic, in description: LibvirtDescription
    ) -> String? {
        guard element.name == "sound", element.first("address") != nil else {
            return "the device of its name is no sound card with a place in the machine"
        }
        let id = element.first("audio")?["id"]
        guard let backend = description.devices.first(where: { $0.name == "audio" && $0["id"] == id }),
            backend["type"] == "alsa"
        else { return "its sound card has no backend of type 'alsa'" }
        let input = backend.first("input")?["dev"] ?? ""
        guard LibvirtVM.inputs(of: mic).contains(input) else {
            return "it records from '\(input)', not from '\(LibvirtStart.input(of: mic))'"
        }
        return silence(mic)
    }

    /// QEMU gives the guest silence, and says nothing, where it cannot open the host's device: libvirt lets it see only
    /// the nodes of cgroup_device_acl, and it is another user's process.
    private func silence(_ mic: Device.Mic) -> String? {
        let nodes = ["controlC\(mic.card)", "pcmC\(mic.card)D\(mic.device)c"].map { "/dev/snd/" + $0 }
        for node in nodes {
            guard let status = try? FileStatus.ofEntry("/proc/\(process.pid)/root\(node)") else {
                return """
                    it would be silent: its QEMU does not see \(node), which has to be in cgroup_device_acl of \
                    /etc/libvirt/qemu.conf
                    """
            }
            guard mayReadAndWrite(status) else {
                return "it would be silent: its QEMU may not open \(node), which belongs to group \(status.group)"
            }
        }
        return nil
    }

    /// By owner, group and mode alone: in doubt it may not.
    private func mayReadAndWrite(_ status: FileStatus) -> Bool {
        guard let text = try? contents(of: "/proc/\(process.pid)/status", limit: 65_536) else { return false }
        func numbers(_ key: String) -> [UInt32] {
            String(decoding: text, as: UTF8.self).split(separator: "\n").first { $0.hasPrefix(key + ":") }?
                .dropFirst(key.utf8.count + 1).split(whereSeparator: \.isWhitespace).compactMap { UInt32($0) } ?? []
        }
        guard let user = numbers("Uid").dropFirst().first, let group = numbers("Gid").dropFirst().first else {
            return false
        }
        if user == 0 { return true }
        if user == status.owner { return status.permissions & 0o600 == 0o600 }
        if ([group] + numbers("Groups")).contains(status.group) { return status.permissions & 0o060 == 0o060 }
        return status.permissions & 0o006 == 0o006
    }

    /// The names of ALSA's for just that device, with and without something in between.
    private static func inputs(of mic: Device.Mic) -> [String] {
        ["dsnoop", "plughw", "hw"].flatMap { kind in
            ["\(kind):\(mic.card),\(mic.device)"]
                + [mic.cardName, String(mic.card)].compactMap(\.self).map {
                    "\(kind):CARD=\($0),DEV=\(mic.device)"
                }
        }
    }
}
