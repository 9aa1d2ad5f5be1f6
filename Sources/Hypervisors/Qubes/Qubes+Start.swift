public import Devices
public import Platform

extension Qubes {
    /// As a whole: qvm-start gives a VM what is assigned to it.
    public var startManner: StartManner { .whole }

    /// Asks what all VMs have that run or are on their way: one turn for their names, one for what they have, and one for what
    /// hangs on what where that can matter.
    public func holders(of devices: [Device]) throws(HypervisorError) -> [[VMName]] {
        let classes = Set(
            devices.filter { !$0.deviceClass.isShareable }.flatMap { device -> [DeviceClass] in
                device.deviceClass == .pci ? [.pci] : [.block, .usb]
            }
        ).sorted()
        guard !classes.isEmpty else { return Array(repeating: [], count: devices.count) }
        do throws(QubesError) {
            let vms = try admin.domains().filter { !$0.name.isHost && $0.state != "Halted" }.map(\.name)
            let wanted = vms.flatMap { vm in classes.map { (vm: vm, deviceClass: $0) } }
            var held: [(vm: VMName, deviceClass: DeviceClass, source: VMName, port: Port)] = []
            var unclear: [(vm: VMName, deviceClass: DeviceClass, head: String)] = []
            for (place, answer) in zip(wanted, admin.attached(wanted)) {
                let list = try answer.get()
                for link in list.rows {
                    guard let port = link.port else { continue }
                    held.append((place.vm, place.deviceClass, link.source, port))
                }
                unclear += list.faults.map { (place.vm, place.deviceClass, $0.head) }
            }
            let known = try canonical(of: held.map { ($0.source, $0.deviceClass, $0.port) })
            return devices.map { device in
                guard !device.deviceClass.isShareable else { return [] }
                let sure = zip(held, known).filter { $0.1.conflicts(with: device.canonical) }.map(\.0.vm)
                // A row that is not understood still says by its beginning what it is about, and in doubt that counts.
                let start = "\(device.source)+\(device.port)"
                let doubtful = unclear.filter {
                    $0.deviceClass == device.deviceClass && ($0.head == start || $0.head.hasPrefix(start + ":"))
                }
                return Set(sure + doubtful.map(\.vm)).sorted()
            }
        } catch {
            throw HypervisorError(error)
        }
    }

    /// What these devices are a part of, by what their sources say of them now.
    private func canonical(
        of devices: [(source: VMName, deviceClass: DeviceClass, port: Port)]
    ) throws(QubesError) -> [CanonicalDevice] {
        var beneath: [String: [String]] = [:]
        let sources = Set(devices.filter { $0.deviceClass == .block }.map(\.source)).sorted()
        // A source that does not answer this says nothing of its devices either, and what is asked for is refused for that.
        for answer in admin.available(sources.map { ($0, .block) }) {
            for row in try answer.get().rows {
                beneath[row.device.canonical.key] = row.device.canonical.beneath
            }
        }
        return devices.map { device in
            let key = QubesDevice.key(device.source, device.deviceClass, device.port)
            return CanonicalDevice(key: key, beneath: beneath[key] ?? [])
        }
    }

    /// Starts a VM that is halted, and waits until it runs.
    public func start(_ vm: VMName, until deadline: Deadline) throws(HypervisorError) {
        do throws(QubesError) {
            var state = try admin.state(of: vm)
            if state == "Halted" {
                try admin.start(vm, until: deadline)
                state = try admin.state(of: vm)
            }
            if state == "Running" { return }
            // Somebody else starts it, or it has ended at once.
            _ = try admin.wait(on: vm, until: deadline) { () throws(QubesError) in
                state = try admin.state(of: vm)
                return state == "Running" || state == "Halted"
            }
            guard state != "Running" else { return }
            throw state == "Halted"
                ? QubesError(.refused, "VM \(vm) ended as soon as it was started")
                : QubesError(.unreachable, "VM \(vm) did not come up in time: it is \(state.lowercased())")
        } catch {
            throw HypervisorError(error)
        }
    }

    // MARK: Before a start

    /// What Qubes OS starts all the same, or refuses in words that say nothing.
    public func preview(of vm: VMName, with requests: [AttachRequest]) throws(HypervisorError) -> StartPreview {
        var preview = StartPreview(devices: requests.count)
        do throws(QubesError) {
            guard let domain = try admin.domains().first(where: { $0.name == vm }) else {
                throw QubesError(
                    .exception("QubesVMNotFoundError"), "there is no VM \(vm)",
                    remedy: "'qvm-ls' shows those that there are.")
            }
            preview.isUp = domain.state != "Halted"
            preview.canAsk = canAsk
            guard !requests.isEmpty else { return preview }
            if try admin.isBefore43(vm) {
                let error = HypervisorError(
                    .incapable,
                    "VM \(vm): this Qubes OS is older than 4.3, and does not say after a start what is assigned and what is there",
                    remedy:
                        "Upgrade dom0 to Qubes OS 4.3, or start the VM without this check: remove vmdev's drop-in.")
                preview.objections = requests.map { _ in error }
                return preview
            }
        } catch {
            throw HypervisorError(error)
        }
        refuseNamesakes(vm, requests, &preview)
        // A required disk is given for writing unless its assignment says otherwise, whatever its source says of it.
        for (index, request) in requests.enumerated()
        where request.device.deviceClass == .block && request.readOnly && request.options.readOnly != true {
            preview.objections[index] = HypervisorError(
                .unsupported,
                "VM \(vm): \(request.device.name) can only be read, and Qubes OS would give it for writing, because the assignment does not say read-only=yes",
                remedy: "Assign it again with --ro")
        }
        try refuseUnable(vm, requests, &preview)
        return preview
    }

    /// Required disks are in the VM's description from the beginning, and there each one without a name is the same xvdi.
    private func refuseNamesakes(_ vm: VMName, _ requests: [AttachRequest], _ preview: inout StartPreview) {
        let disks = requests.enumerated().filter { $0.element.device.deviceClass == .block }
        for (disk, earlier) in zip(disks, FrontendName.earlier(disks.map(\.element.options))) {
            guard let first = earlier.flatMap({ disks[safe: $0] })?.element else { continue }
            let request = disk.element
            let unnamed = request.options["frontend-dev"] == nil ? ", because it has no frontend-dev=" : ""
            preview.objections[disk.offset] = HypervisorError(
                .unsupported,
                "VM \(vm): \(request.device.name) would be \(FrontendName.of(request.options)) in it as well as \(first.device.name)\(unnamed)",
                remedy: "Give each of its required disks a frontend-dev= of its own.")
        }
    }

    /// A microphone needs an AudioVM that runs, and a PCI device a VM that is not pvh.
    private func refuseUnable(
        _ vm: VMName, _ requests: [AttachRequest], _ preview: inout StartPreview
    ) throws(HypervisorError) {
        let classes = Set(requests.map(\.device.deviceClass))
        var reasons: [DeviceClass: HypervisorError] = [:]
        if classes.contains(.mic) { reasons[.mic] = try objectionToSound(vm) }
        if classes.contains(.pci), admin.property("virt_mode", of: vm) == "pvh" {
            reasons[.pci] = HypervisorError(
                .incapable, "VM \(vm): its virt_mode is pvh, and such a VM cannot have PCI devices",
                remedy: "Change it: qvm-prefs \(vm) virt_mode hvm")
        }
        for (index, request) in requests.enumerated() where preview.objections[index] == nil {
            preview.objections[index] = reasons[request.device.deviceClass]
        }
    }

    private func objectionToSound(_ vm: VMName) throws(HypervisorError) -> HypervisorError? {
        // Where it may not be asked, what was attached is seen after the start.
        guard let audio = admin.property("audiovm", of: vm) else { return nil }
        guard let audioVM = try? VMName(audio) else {
            return HypervisorError(
                .noAgent, "VM \(vm): it has no AudioVM, and so nobody who could give it a microphone",
                remedy: "Set one: qvm-prefs \(vm) audiovm dom0")
        }
        let state: String
        do { state = audioVM.isHost ? "Running" : try admin.state(of: audioVM) } catch {
            throw HypervisorError(error)
        }
        guard state != "Running" else { return nil }
        return HypervisorError(
            .noAgent,
            "VM \(vm): its AudioVM \(audioVM) is not running (\(state.lowercased())), and gives it no microphone",
            remedy: "Start it before: qvm-start \(audioVM)")
    }

    /// The one that asks runs on the desktop of dom0, or in a GUI VM, where it cannot be seen from here.
    private var canAsk: Bool? {
        guard let agent, ["", "dom0"].contains(admin.property("guivm", of: .host) ?? "") else { return nil }
        return (try? FileStatus.ofEntry(agent)) != nil
    }
}
