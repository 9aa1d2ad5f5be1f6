internal import Devices
internal import Platform

extension HostPCIDevices {
    /// Gives the function back to the driver that had it. While the VM has others of its IOMMU group, the kernel would
    /// let no driver have it: then it waits for the last of them.
    func giveBack(_ port: Port, from vm: VMName) throws(SourceError) {
        guard let path = port.pciPath,
            let address = path.steps.isEmpty ? path.start : PCIFunction(port: port, root: root)?.address
        else { return }
        let all = try saved(for: vm)
        guard var mine = all[address] else { return }
        let group = PCIFunction(address: address, root: root)?.group
        let mates = all.filter { entry in
            entry.key != address && group != nil && PCIFunction(address: entry.key, root: root)?.group == group
        }
        guard mates.values.allSatisfy(\.isWaiting) else {
            mine.isWaiting = true
            do { try mine.save(address, root: root) } catch { throw SourceError(error) }
            return
        }
        try restore(mates.merging([address: mine]) { first, _ in first })
    }

    /// Gives back all that the VM had.
    func giveBackAll(from vm: VMName) throws(SourceError) -> [DeviceReference] {
        let all = try saved(for: vm)
        try restore(all)
        return all.keys.sorted().compactMap { address in
            guard let port = try? Port(address, of: .pci) else { return nil }
            let identity = PCIFunction(address: address, root: root)?.identity
            return DeviceReference(.pci, source: .host, port: port, identity: identity)
        }
    }

    /// Makes the driver of a function what it was, makes sure that it is, and forgets what was saved.
    func restore(
        _ address: String, _ saved: SavedDriver, within limit: Duration? = nil
    ) throws(SourceError) {
        if let function = PCIFunction(address: address, root: root) {
            let binding = binding(address, within: limit)
            let name = function.port.map { "dom0:\($0)" } ?? address
            // The link goes first when a driver begins to let go, so it is read once.
            let before = function.driver
            do throws(PCIBinding.Failure) {
                if before == HostPCIDevices.vfio, let group = function.group {
                    try binding.waitUntilUnused(group: group)
                }
                try binding.setOverride(saved.override)
                if before == HostPCIDevices.vfio { try binding.unbind(from: HostPCIDevices.vfio) }
                if before == HostPCIDevices.vfio || before == nil, saved.driver != nil { try binding.probe() }
            } catch {
                throw SourceError(error, name, from: before)
            }
            let driver = PCIFunction(address: address, root: root)?.driver
            if let wanted = saved.driver, driver == nil || driver == HostPCIDevices.vfio {
                throw SourceError(
                    .unfit,
                    "\(name) is not back with its driver \(printable(wanted, limit: 64)): it has \(driver ?? "none")",
                    remedy: """
                        See that the driver is loaded (modprobe \(printable(wanted, limit: 64))) and what the kernel says \
                        (journalctl -k), then: echo \(address) > /sys/bus/pci/drivers_probe.
                        """)
            }
        }
        do { try SavedDriver.remove(address, root: root) } catch { throw SourceError(error) }
    }

    /// Restores each; one that fails does not keep the others.
    private func restore(_ all: [String: SavedDriver]) throws(SourceError) {
        var failure: SourceError?
        for (address, saved) in all.sorted(by: { $0.key < $1.key }) {
            do throws(SourceError) { try restore(address, saved) } catch { failure = failure ?? error }
        }
        if let failure { throw failure }
    }

    /// What was saved for the VM, by address. A line that somebody broke is another's problem: a claim names it.
    private func saved(for vm: VMName) throws(SourceError) -> [String: SavedDriver] {
        do throws(SystemCallError) {
            var found: [String: SavedDriver] = [:]
            for address in try SavedDriver.addresses(root: root) {
                if let saved = try? SavedDriver.load(address, root: root), saved.vm == vm { found[address] = saved }
            }
            return found
        } catch {
            throw SourceError(error)
        }
    }
}
