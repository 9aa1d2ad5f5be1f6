internal import Devices
internal import Platform

/// A connection to a simulated VM.
final class SimulatorVM: RunningVM, LockKeeper {
    private let machine: SimulatedMachine
    private let ended: () -> Void
    /// Room that was promised by `place`.
    private var placed: Set<AttachmentID> = []

    init(machine: SimulatedMachine, ended: @escaping () -> Void) {
        self.machine = machine
        self.ended = ended
    }

    var name: VMName { machine.name }

    func state() throws(HypervisorError) -> VMState { try machine.use { $0.state } }

    func attachments() throws(HypervisorError) -> Set<AttachmentID> { try machine.use { Set($0.devices.keys) } }

    func place(_ requests: [AttachRequest]) throws(HypervisorError) -> [HypervisorError?] {
        let free = try machine.use { max(0, $0.places - $0.devices.count) }
        placed = Set(requests.prefix(free).map(\.id))
        return requests.enumerated().map { index, request in index < free ? nil : noRoom(for: request) }
    }

    func attach(_ request: AttachRequest) throws(HypervisorError) {
        let copy: Descriptor?
        switch request.backing {
        case .open(let descriptor): copy = try self.copy(of: descriptor)
        case .networkDisk(let disk): copy = try self.copy(of: disk.lease)
        case .usbStream(let stream): copy = try self.copy(of: stream)
        case .byName: copy = nil
        case .alreadyThere:
            throw HypervisorError(.unsupported, "VM \(name): \(request.device.name) was not opened to be attached")
        }
        let isStream = if case .usbStream = request.backing { true } else { false }
        let device = request.device
        try machine.use { content throws(HypervisorError) in
            for case .refuses(request.id, let error) in content.faults { throw error }
            if content.faults.contains(.attachesNothing(request.id)) { return }
            guard content.devices[request.id] == nil else {
                throw HypervisorError(
                    .refused, "VM \(name): \(device.name) or another device of its name is attached already",
                    remedy: "Detach it first")
            }
            guard content.devices.count < content.places else { throw noRoom(for: request) }
            let readOnly = request.readOnly && !content.faults.contains(.attachesWritable(request.id))
            content.devices[request.id] = SimulatedMachine.AttachedDevice(
                shown: Simulator.Attached(port: device.port, readOnly: readOnly), copy: copy, isStream: isStream)
        }
    }

    func verify(_ requests: [AttachRequest]) throws(HypervisorError) -> [HypervisorError?] {
        let devices = try machine.use { $0.devices.mapValues(\.shown) }
        let dead = try deadEnds()
        return requests.map { request in
            let what = "VM \(name): \(request.device.name) is not there as it was asked for"
            guard let attached = devices[request.id] else {
                return HypervisorError(.notVerified, "\(what): it is not among its devices")
            }
            guard attached.readOnly == request.readOnly else {
                return HypervisorError(
                    .notVerified, "\(what): it \(attached.readOnly ? "cannot be written" : "can be written")")
            }
            guard !dead.contains(request.id) else {
                return HypervisorError(.notVerified, "\(what): VM \(request.device.source) does not give it")
            }
            return nil
        }
    }

    /// Those whose stream has been closed at its other end.
    func deadEnds() throws(HypervisorError) -> Set<AttachmentID> {
        try machine.use { content in
            Set(content.devices.filter { $0.value.isStream && $0.value.copy?.isHungUp == true }.keys)
        }
    }

    func keep(_ lease: Descriptor, of id: AttachmentID) throws(HypervisorError) {
        let copy = try copy(of: lease)
        try machine.use { content throws(HypervisorError) in
            guard let device = content.devices[id] else {
                throw HypervisorError(.refused, "VM \(name) has no \(id)")
            }
            content.devices[id] = SimulatedMachine.AttachedDevice(
                shown: device.shown, copy: copy, isStream: device.isStream)
        }
    }

    func detach(_ id: AttachmentID, until deadline: Deadline) throws(HypervisorError) {
        try machine.use { content throws(HypervisorError) in
            guard !content.faults.contains(.keeps(id)) else {
                throw HypervisorError(.refused, "VM \(name): the guest did not let go of \(id)")
            }
            content.devices[id] = nil
        }
        placed.remove(id)
    }

    var custody: Custody { machine.holder.map { .lease($0) } ?? .locks(self) }

    func hold(_ descriptor: Descriptor, as name: String) throws(HypervisorError) {
        let copy = try copy(of: descriptor)
        try machine.use { $0.held[name] = copy }
    }

    func letGo(_ name: String) throws(HypervisorError) { try machine.use { $0.held[name] = nil } }

    func resume() throws(HypervisorError) {
        try machine.use { content throws(HypervisorError) in
            if !content.faults.contains(.doesNotResume) { content.state = .running }
            guard content.state == .running else {
                throw HypervisorError(.refused, "VM \(name) was told to run and is \(content.state)")
            }
        }
    }

    func end() throws(HypervisorError) {
        try machine.use { content throws(HypervisorError) in
            guard !content.faults.contains(.doesNotEnd) else {
                throw HypervisorError(.refused, "VM \(name) was told to end and is still there")
            }
        }
        machine.die()
        ended()
    }

    private func noRoom(for request: AttachRequest) -> HypervisorError {
        HypervisorError(
            .noRoom, "VM \(name) has no free place for \(request.device.name)", remedy: "Give it more places")
    }

    private func copy(of descriptor: Descriptor) throws(HypervisorError) -> Descriptor {
        do {
            return try descriptor.duplicate()
        } catch {
            throw HypervisorError(.refused, "VM \(name): \(error)")
        }
    }
}
