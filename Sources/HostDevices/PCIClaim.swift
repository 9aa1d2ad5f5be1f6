internal import Devices
internal import Platform

extension HostPCIDevices {
    /// The driver whose functions a process may take.
    static let vfio = "vfio-pci"

    /// Gives the function to vfio-pci, whose node /dev/vfio/GROUP the VM's process then opens itself. One that an
    /// administrator has given to vfio-pci before stays as it is, now and later.
    func claim(
        _ device: Device, for vm: VMName, readOnly: Bool, options: DeviceOptions
    ) throws(SourceError) -> Descriptor? {
        let function = try sameFunction(device)
        try checkAgain(function, device, options)
        let binding = binding(function.address)
        let driver = function.driver
        try remember(function, for: vm, binding)
        if driver != HostPCIDevices.vfio { try bindToVFIO(function, from: driver, device, binding) }
        return nil
    }

    /// Saves what the function has to get back. What an earlier VM left is kept: what the host had is in there, and not
    /// what is there now.
    private func remember(
        _ function: PCIFunction, for vm: VMName, _ binding: PCIBinding
    ) throws(SourceError) {
        let current = function.driver
        do {
            let earlier = try SavedDriver.load(function.address, root: root)
            if current == HostPCIDevices.vfio {
                guard let earlier else { return }
                try SavedDriver(vm: vm, driver: earlier.driver, override: earlier.override)
                    .save(function.address, root: root)
            } else {
                let override = if let earlier { earlier.override } else { try binding.readOverride() }
                try SavedDriver(vm: vm, driver: current ?? earlier?.driver, override: override)
                    .save(function.address, root: root)
            }
        } catch let error as SystemCallError {
            throw SourceError(error)
        } catch let error as PCIBinding.Failure {
            throw SourceError(error, "dom0:\(function.port?.description ?? function.address)", from: current)
        } catch {
            throw SourceError(.unreadable, "\(function.address): \(error)")
        }
    }

    private func bindToVFIO(
        _ function: PCIFunction, from driver: String?, _ device: Device, _ binding: PCIBinding
    ) throws(SourceError) {
        do throws(SourceError) {
            do throws(PCIBinding.Failure) {
                try binding.loadVFIO()
                try binding.setOverride(HostPCIDevices.vfio)
                if let driver { try binding.unbind(from: driver) }
                try binding.probe()
            } catch {
                throw SourceError(error, device.name, from: driver)
            }
            let now = try sameFunction(device)
            guard now.driver == HostPCIDevices.vfio else {
                throw SourceError(
                    .unfit,
                    "\(device.name) was given to vfio-pci, and \(now.driver.map { "\(printable($0)) has it" } ?? "no driver has it") now",
                    remedy: "Look for the reason in the kernel's messages (journalctl -k).")
            }
            let node = "/dev/vfio/\(now.group.map(String.init) ?? "")"
            guard (try? Descriptor.open(root.path(node), [.path])) != nil else {
                throw SourceError(
                    .unfit, "\(device.name) was given to vfio-pci, but there is no \(node)",
                    remedy: "See that /dev is a devtmpfs and that the kernel has VFIO (CONFIG_VFIO_PCI).")
            }
        } catch {
            throw undone(function, after: error)
        }
    }

    /// Undoes what was done; a function that hangs stays remembered, so that it is given back later.
    private func undone(_ function: PCIFunction, after cause: SourceError) -> SourceError {
        do throws(SourceError) {
            if let saved = (try? SavedDriver.load(function.address, root: root)) ?? nil {
                // A function that hangs keeps waiting whoever comes next.
                try restore(function.address, saved, within: cause.kind == .inUse(.busy) ? .seconds(1) : limit)
            }
            return cause
        } catch {
            return SourceError(
                cause.kind, "\(cause.message); what was done before could not be undone either: \(error.message)",
                remedy: cause.remedy)
        }
    }

    /// The function as it is now, if it is still the very one.
    private func sameFunction(_ device: Device) throws(SourceError) -> PCIFunction {
        guard let pci = device.pci, let function = PCIFunction(address: pci.address, root: root) else {
            throw SourceError(.gone, "\(device.name) has gone", remedy: "Put it in again.")
        }
        guard let identity = function.identity, device.identities.contains(identity) else {
            throw SourceError(
                .changed,
                "\(device.name) changed while it was being claimed: it was \(device.identities.first?.description ?? "unknown") and is \(function.identity?.description ?? "unreadable") now",
                remedy: "Try again.")
        }
        return function
    }

    /// Nothing may have come into the way since the device was resolved; what the VM gets besides was no obstacle then.
    private func checkAgain(
        _ function: PCIFunction, _ device: Device, _ options: DeviceOptions
    ) throws(SourceError) {
        if let use = try PCIInventory(root: root).device(function)?.uses.first {
            throw SourceError(.inUse(use), "\(device.name) is in use: \(use)", remedy: use.remedy(for: device.name))
        }
        let known = device.pci?.companions ?? []
        let companions = function.companions.filter { !known.contains($0) }
        let now = Device.PCI(
            address: function.address, driver: function.driver, group: function.group, companions: companions,
            canReset: function.canReset)
        let current = Device(
            .pci, source: device.source, port: device.port, title: device.title, canonical: device.canonical,
            details: .pci(now))
        if let objection = objection(to: current, options: options, together: []) { throw objection }
    }
}
