internal import Devices
internal import Platform

extension QEMUVM {
    /// Models of sound cards that a running machine takes and that can record, the best first; virtio-sound-pci is in
    /// QEMU since 8.2.
    private static let models = ["virtio-sound-pci", "AC97", "ES1370"]

    /// Plugs in a sound card that records from the backend of that capture device.
    ///
    /// The backend has to be there from the start of QEMU, which takes none later. Its id is that of the attachment, so
    /// that a card which was numbered anew is not taken for another one's backend.
    func attach(_ mic: Device.Mic, _ request: AttachRequest) throws(HypervisorError) {
        guard let place = places[request.id], let address = place.pciAddress else {
            throw HypervisorError(
                .noRoom, "VM \(name) has no free place for \(request.device.name): a sound card needs PCI")
        }
        var unknown: QMPError?
        for model in QEMUVM.models {
            do {
                try connection.call(
                    .plug(
                        QMP.Device(
                            driver: model, bus: place.bus, addr: address, id: request.id.description,
                            audiodev: request.id.description)))
                return
            } catch {
                guard error.says("is not a valid device model") else {
                    throw fault(attaching: request, mic, error)
                }
                unknown = error
            }
        }
        throw HypervisorError(
            .unsupported,
            """
            VM \(name): its QEMU has none of the sound cards \(QEMUVM.models.joined(separator: ", ")) for \
            \(request.device.name)\(unknown.map { " (\($0))" } ?? "")
            """,
            remedy: "Install a QEMU that has one")
    }

    /// Checks sound cards by QOM: the model, the backend, and where they are.
    func verifyMicrophones(_ requests: [AttachRequest]) throws(HypervisorError) -> [HypervisorError?] {
        let paths = requests.map { $0.id.path }
        let (types, backends, buses, slots) = try ask(
            "asked for its sound cards", paths.map { QMPCommand<String>.get("type", of: $0) },
            paths.map { QMPCommand<String>.get("audiodev", of: $0) },
            paths.map { QMPCommand<String>.get("parent_bus", of: $0) },
            paths.map { QMPCommand<Int64>.get("addr", of: $0) })
        return zip(zip(requests, types), zip(backends, zip(buses, slots))).map { card, rest -> HypervisorError? in
            let ((request, type), (backend, (bus, slot))) = (card, rest)
            do throws(HypervisorError) {
                try checkPlug(request, bus: bus, address: slot)
                guard let type, QEMUVM.models.contains(type) else {
                    throw notVerified(request, "'\(type ?? "")' is no sound card that can record")
                }
                guard backend == request.id.description else {
                    throw notVerified(
                        request, "it records from the backend '\(backend ?? "")', not from '\(request.id)'")
                }
                if request.backing.isFresh, type == "AC97" { try checkRecording(request) }
                return nil
            } catch {
                return error
            }
        }
    }

    /// A backend that cannot open its device says so on QEMU's standard error alone, and gives the guest silence. Of our
    /// models AC97 opens it at once, the others only when the guest records.
    private func checkRecording(_ request: AttachRequest) throws(HypervisorError) {
        guard let mic = request.device.mic, let pid = process?.pid,
            let backend = SoundBackend(id: request.id.description, in: arguments(of: pid)), backend.isDirect
        else { return }
        let node = "/dev/snd/pcmC\(mic.card)D\(mic.device)c"
        guard isOpen(node, in: pid) == false else { return }
        throw HypervisorError(
            .notVerified,
            "VM \(name): \(request.device.name) would be silent: its QEMU has not opened \(node) for '\(backend.input ?? "")'",
            remedy: """
                Find out who else records (fuser -v \(node)) and whether QEMU may open it, or start QEMU with: \
                \(QEMUVM.backend(of: mic, for: request.id))
                """)
    }

    private func fault(attaching request: AttachRequest, _ mic: Device.Mic, _ error: QMPError) -> HypervisorError {
        let device = request.device.name
        // QEMU 7.2: "Property 'AC97.audiodev' can't find value 'x'"; 8.2 and later: "audiodev 'x' not found".
        if error.says("audiodev") && error.says("can't find value", "not found") {
            return HypervisorError(
                .noRoom, "VM \(name): there is no sound backend '\(request.id)' for \(device) (\(error))",
                remedy: "Start its QEMU with: \(QEMUVM.backend(of: mic, for: request.id))")
        }
        return fault(attaching: request, error)
    }

    /// The argument that makes the backend: it records from just this device, and sends what the guest plays nowhere.
    ///
    /// dsnoop lets several VMs record at a time; the doubled comma is one comma to QEMU.
    private static func backend(of mic: Device.Mic, for id: AttachmentID) -> String {
        "-audiodev alsa,id=\(id),in.dev=dsnoop:CARD=\(mic.cardName ?? String(mic.card)),,DEV=\(mic.device),out.dev=null"
    }
}

extension AttachRequest.Backing {
    /// Whether it is being attached now.
    fileprivate var isFresh: Bool { if case .alreadyThere = self { false } else { true } }
}
