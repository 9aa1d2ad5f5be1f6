internal import Devices

extension QEMUVM {
    /// Checks each device by QOM and by query-block, all in one go.
    public func verify(_ requests: [AttachRequest]) throws(HypervisorError) -> [HypervisorError?] {
        guard !requests.isEmpty else { return [] }
        let properties = ["realized", "parent_bus", "addr"]
        let questions = requests.flatMap { request in
            properties.map { QMPCommand.get($0, of: "\(QOM.peripheral)/\(request.id)") }
        }
        let answers = try ask([QMPCommand("query-block")] + questions)
        guard let disks = (answers.first ?? nil)?.array else {
            throw HypervisorError(.notUnderstood, "VM \(name): QEMU does not tell its disks")
        }
        return requests.enumerated().map { index, request -> HypervisorError? in
            let first = 1 + index * properties.count
            do throws(HypervisorError) {
                try checkPlug(
                    request, realized: answers[safe: first] ?? nil, bus: answers[safe: first + 1] ?? nil,
                    address: answers[safe: first + 2] ?? nil)
                try checkDisk(request, disks)
                return nil
            } catch {
                return error
            }
        }
    }

    private func checkPlug(
        _ request: AttachRequest, realized: JSONValue?, bus: JSONValue?, address: JSONValue?
    ) throws(HypervisorError) {
        guard realized?.bool == true, let bus = bus?.string else {
            throw notVerified(
                request, realized == nil ? "it is not among its devices" : "the device is not realized")
        }
        if let place = places[request.id], bus.split(separator: "/").last.map(String.init) != place.bus {
            throw notVerified(request, "it is on the bus \(bus), not on \(place.bus)")
        }
        // Behind a port there is one slot; QEMU 7.2 fills others without a word, and no guest looks there.
        let isBehindPort = bus.hasPrefix(QOM.peripheral + "/") || bus.hasPrefix(QOM.anonymous + "/")
        if isBehindPort, let address = address?.integer, address != 0 {
            throw notVerified(request, "it is in slot \(address >> 3) of \(bus), where the guest does not look")
        }
    }

    private func checkDisk(_ request: AttachRequest, _ disks: [JSONValue]) throws(HypervisorError) {
        let id = request.id.description
        let disk = disks.first { disk in
            disk["inserted"]?["node-name"]?.string == id
                && disk["qdev"]?.string?.split(separator: "/").contains { $0 == id } == true
        }
        guard let inserted = disk?["inserted"] else { throw notVerified(request, "the device has no disk in it") }
        guard let readOnly = inserted["ro"]?.bool, let size = inserted["image"]?["virtual-size"]?.integer else {
            throw HypervisorError(
                .notUnderstood, "VM \(name): QEMU does not tell how it has \(request.device.name)")
        }
        guard readOnly == request.readOnly else {
            throw notVerified(request, readOnly ? "it cannot be written" : "it can be written, and must not be")
        }
        guard let block = request.device.block, UInt64(exactly: size) == block.size else {
            throw notVerified(
                request, "it has \(size) bytes there and \(request.device.block?.size ?? 0) on the host")
        }
    }

    private func notVerified(_ request: AttachRequest, _ reason: String) -> HypervisorError {
        HypervisorError(
            .notVerified, "VM \(name): \(request.device.name) is not there as it was asked for: \(reason)",
            remedy: "Detach it and attach it again")
    }
}
