internal import Devices

extension QEMUVM {
    /// Checks each device by what its class has to be.
    public func verify(_ requests: [AttachRequest]) throws(HypervisorError) -> [HypervisorError?] {
        var failures: [AttachmentID: HypervisorError] = [:]
        for (deviceClass, some) in Dictionary(grouping: requests, by: \.device.deviceClass) {
            let answers =
                switch deviceClass {
                case .block: try verifyDisks(some)
                case .usb: try verifyUSB(some)
                case .pci: try verifyFunctions(some)
                case .mic: try verifyMicrophones(some)
                }
            for (request, failure) in zip(some, answers) { failures[request.id] = failure }
        }
        return requests.map { failures[$0.id] }
    }

    /// Checks disks by QOM and by query-block, all in one go.
    ///
    /// That a device is realized need not be asked: QEMU lists no other between two commands, because one whose
    /// realization fails is taken off the bus and out of the tree before device_add answers.
    private func verifyDisks(_ requests: [AttachRequest]) throws(HypervisorError) -> [HypervisorError?] {
        let what = "asked for its disks"
        // The slot of what we placed was named in its device_add, which QEMU obeys or refuses.
        let unplaced = requests.filter { places[$0.id] == nil }
        let (answer, buses, slots) = try ask(
            what, [.disks], requests.map { QMPCommand<String>.get("parent_bus", of: $0.id.path) },
            unplaced.map { QMPCommand<Int64>.get("addr", of: $0.id.path) })
        guard let disks = answer.first ?? nil else {
            throw HypervisorError(.notUnderstood, "VM \(name): QEMU does not tell its disks")
        }
        let addresses = Dictionary(zip(unplaced.map(\.id), slots)) { first, _ in first }
        return zip(requests, buses).map { request, bus -> HypervisorError? in
            do throws(HypervisorError) {
                try checkPlug(request, bus: bus, address: addresses[request.id] ?? nil)
                try checkDisk(request, disks)
                return nil
            } catch {
                return error
            }
        }
    }

    /// Checks that a device is where it was put, and where a guest looks.
    func checkPlug(_ request: AttachRequest, bus: String?, address: Int64?) throws(HypervisorError) {
        guard let bus, !bus.isEmpty else { throw notVerified(request, "it is not among its devices") }
        if let place = places[request.id], bus.split(separator: "/").last.map(String.init) != place.bus {
            throw notVerified(request, "it is on the bus \(bus), not on \(place.bus)")
        }
        // Behind a port there is one slot; QEMU 7.2 fills others without a word, and no guest looks there.
        let isBehindPort = bus.hasPrefix(QOM.peripheral + "/") || bus.hasPrefix(QOM.anonymous + "/")
        if isBehindPort, let address, address != 0 {
            throw notVerified(request, "it is in slot \(address >> 3) of \(bus), where the guest does not look")
        }
    }

    private func checkDisk(_ request: AttachRequest, _ disks: [QMP.Disk]) throws(HypervisorError) {
        let id = request.id.description
        let disk = disks.first { disk in
            disk.inserted?.nodeName == id && disk.qdev?.split(separator: "/").contains { $0 == id } == true
        }
        guard let medium = disk?.inserted else { throw notVerified(request, "the device has no disk in it") }
        let readOnly = medium.isReadOnly
        let size = medium.image.virtualSize
        guard readOnly == request.readOnly else {
            throw notVerified(request, readOnly ? "it cannot be written" : "it can be written, and must not be")
        }
        guard let block = request.device.block, UInt64(exactly: size) == block.size else {
            throw notVerified(
                request, "it has \(size) bytes there and \(request.device.block?.size ?? 0) on the host")
        }
    }

    /// QEMU said yes, and it is not so.
    func notVerified(_ request: AttachRequest, _ reason: String) -> HypervisorError {
        HypervisorError(
            .notVerified, "VM \(name): \(request.device.name) is not there as it was asked for: \(reason)",
            remedy: "Detach it and attach it again")
    }
}

extension AttachmentID {
    /// The device in QEMU's object tree.
    var path: String { "\(QOM.peripheral)/\(self)" }
}
