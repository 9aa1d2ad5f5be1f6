/// What free places a QEMU machine has, looked up kind by kind and only as far as it is needed.
///
/// Everything is read from QOM, because query-pci does not look behind ports before the firmware has numbered their
/// buses. Each step asks all its questions at once.
struct QEMUSurvey {
    /// How many devices of one machine are looked at.
    static let limit = 1024

    /// A device that was given on the command line or plugged in later.
    struct Part: Hashable, Sendable {
        let path: String
        let type: String
        /// Its id; nil for one without.
        let id: String?

        /// Whether it is a PCI Express port.
        var isPort: Bool { type == "pcie-root-port" || type == "ioh3420" }
    }

    private let vm: QEMUVM
    private let parts: [Part]
    /// PCI addresses of the devices on the first bus that have an id.
    private let addresses: [String: Int64]
    /// The number of devices on the first PCI bus; 0 for a machine without PCI.
    let rootDevices: Int
    /// Whether the machine is an i440fx one.
    let isConventional: Bool
    /// Free slots of the i440fx bus, if that takes devices while the machine is on.
    let slots: [QEMUPlace]

    /// Lists the machine's devices: one round trip.
    init(of vm: QEMUVM) throws(HypervisorError) {
        let answers = try vm.ask([
            .list(QOM.peripheral), .list(QOM.anonymous), QMPCommand("query-pci"),
            .get("hotplug-handler", of: QOM.conventionalBus),
        ])
        self.vm = vm
        let named = QEMUSurvey.parts(answers[safe: 0], below: QOM.peripheral, named: true)
        let unnamed = QEMUSurvey.parts(answers[safe: 1], below: QOM.anonymous, named: false)
        // QOM lists in the order of a hash table.
        parts = (named + unnamed).prefix(QEMUSurvey.limit).sorted { $0.path < $1.path }

        let root = (answers[safe: 2]??.array ?? []).first { $0["bus"]?.integer == 0 }?["devices"]?.array ?? []
        rootDevices = root.count
        addresses = Dictionary(
            root.compactMap { device in
                guard let id = device["qdev_id"]?.string, let slot = device["slot"]?.integer,
                    let function = device["function"]?.integer
                else { return nil }
                return (id, slot &* 8 &+ function)
            }, uniquingKeysWith: min)
        let handler = answers[safe: 3] ?? nil
        isConventional = handler != nil
        let taken = Set(root.compactMap { $0["slot"]?.integer })
        slots =
            handler?.string?.isEmpty == false
            ? (1..<32).filter { !taken.contains(Int64($0)) }.map { .slot($0, bus: "pci.0") } : []
    }

    /// PCI Express ports with nothing in them, `count` at most, in the order of their PCI addresses, in which a guest
    /// finds its disks.
    func freePorts(_ count: Int) throws(HypervisorError) -> [QEMUPlace] {
        let ports = parts.filter(\.isPort).sorted { (address($0), $0.path) < (address($1), $1.path) }
        var buses = try buses(of: ports.map { (path: $0.path, id: $0.id) }, type: "PCIE")[...]
        // QEMU names the bus of a port without id itself, and then may well have two "pcie.0".
        let names = Dictionary(buses.map { ($0.name, 1) } + [("pcie.0", 1)], uniquingKeysWith: +)
        buses = buses.filter { names[$0.name] == 1 }[...]
        var result: [QEMUPlace] = []
        while result.count < count, !buses.isEmpty {
            // Each question costs QEMU a turn of its main loop: no more of them than are needed or go out together.
            let some = buses.prefix(max(count - result.count, QMPConnection.unansweredLimit / 2))
            buses = buses.dropFirst(some.count)
            let answers = try vm.ask(
                some.flatMap { [QMPCommand.list($0.path), .get("hotplug-handler", of: $0.path)] })
            for (index, bus) in some.enumerated() where result.count < count {
                let list = answers[safe: 2 * index] ?? nil
                let handler = answers[safe: 2 * index + 1] ?? nil
                guard let list, QOM.devices(onBus: list).isEmpty, handler?.string?.isEmpty == false else {
                    continue
                }
                result.append(.port(bus: bus.name))
            }
        }
        return result
    }

    /// Slot and function on the first bus; those that query-pci does not name come last.
    private func address(_ port: Part) -> Int64 { port.id.flatMap { addresses[$0] } ?? .max }

    /// The highest chassis number of the machine's ports.
    func lastChassis() throws(HypervisorError) -> Int64 {
        try vm.ask(parts.filter(\.isPort).map { .get("chassis", of: $0.path) }).compactMap { $0?.integer }.max()
            ?? 0
    }

    /// Free targets of virtio-scsi controllers, `count` at most.
    func freeTargets(_ count: Int) throws(HypervisorError) -> [QEMUPlace] {
        let controllers = parts.compactMap { part -> (path: String, id: String?)? in
            if part.type == "virtio-scsi-device" { return (part.path, nil) }
            return part.type.hasPrefix("virtio-scsi-pci") ? ("\(part.path)/virtio-backend", nil) : nil
        }
        return try free(onBusesOf: controllers, type: "SCSI", property: "scsi-id", count: count) { bus, taken in
            let used = Set(taken.compactMap(\.integer))
            return (0..<256).lazy.filter { !used.contains(Int64($0)) }.map { .scsi(target: $0, bus: bus) }
        }
    }

    /// Free ports of USB controllers, `count` at most. With its port given, QEMU does not slip a hub in.
    func freeUSBPorts(_ count: Int) throws(HypervisorError) -> [QEMUPlace] {
        let controllers = parts.filter { $0.type.hasSuffix("-xhci") || QEMUSurvey.usbPorts[$0.type] != nil }
        let sizes = try vm.ask(
            controllers.flatMap { [QMPCommand.get("p2", of: $0.path), .get("p3", of: $0.path)] })
        var result: [QEMUPlace] = []
        for (index, controller) in controllers.enumerated() where result.count < count {
            let p2 = (sizes[safe: 2 * index] ?? nil)?.integer ?? 0
            let p3 = (sizes[safe: 2 * index + 1] ?? nil)?.integer ?? 0
            let size = QEMUSurvey.usbPorts[controller.type] ?? Int(clamping: min(max(p2, p3), 30))
            result += try free(
                onBusesOf: [(controller.path, nil)], type: "usb-bus", property: "port", count: count - result.count
            ) { bus, taken in
                // A device behind a hub has the port "2.1".
                let used = Set(taken.compactMap { $0.string?.split(separator: ".").first.map(String.init) })
                return (1...max(size, 1)).lazy.filter { !used.contains(String($0)) }
                    .map { .usb(port: $0, bus: bus) }
            }
        }
        return result
    }

    /// Ports of the controllers that do not tell (hw/usb/hcd-ehci.h, hcd-uhci.h).
    private static let usbPorts = [
        "usb-ehci": 6, "ich9-usb-ehci1": 6, "ich9-usb-ehci2": 6, "piix3-usb-uhci": 2, "piix4-usb-uhci": 2,
    ]

    private func free(
        onBusesOf controllers: [(path: String, id: String?)], type: String, property: String, count: Int,
        places: (_ bus: String, _ taken: [JSONValue]) -> any Sequence<QEMUPlace>
    ) throws(HypervisorError) -> [QEMUPlace] {
        let buses = try buses(of: controllers, type: type)
        let lists = try vm.ask(buses.map { .list($0.path) })
        var result: [QEMUPlace] = []
        for (bus, list) in zip(buses, lists) where result.count < count {
            let devices = QOM.devices(onBus: list ?? .null).prefix(QEMUSurvey.limit)
            let taken = try vm.ask(devices.map { .get(property, of: "\(bus.path)/\($0.name)") })
            for place in places(bus.name, taken.compactMap { $0 }) {
                guard result.count < count else { break }
                result.append(place)
            }
        }
        return result
    }

    /// The buses that the devices offer; that of a device with an id has the id as its name.
    private func buses(
        of devices: [(path: String, id: String?)], type: String
    ) throws(HypervisorError) -> [(device: String, path: String, name: String)] {
        let unnamed = devices.filter { $0.id == nil }
        var lists = try vm.ask(unnamed.map { .list($0.path) })[...]
        return devices.compactMap { device in
            if let id = device.id { return (device.path, "\(device.path)/\(id)", id) }
            guard let list = lists.popFirst() ?? nil,
                let name = QOM.children(list).first(where: { $0.childType == type })?.name
            else { return nil }
            return (device.path, "\(device.path)/\(name)", name)
        }
    }

    private static func parts(_ answer: JSONValue??, below folder: String, named: Bool) -> [Part] {
        QOM.children((answer ?? nil) ?? .null).compactMap { entry in
            entry.childType.map { Part(path: "\(folder)/\(entry.name)", type: $0, id: named ? entry.name : nil) }
        }
    }
}

extension QEMUVM {
    /// Asks several things about the machine; what QEMU refuses to tell is nil.
    func ask(_ commands: [QMPCommand]) throws(HypervisorError) -> [JSONValue?] {
        try commands.isEmpty ? [] : call("asked for its devices", commands).map(\.value)
    }
}
