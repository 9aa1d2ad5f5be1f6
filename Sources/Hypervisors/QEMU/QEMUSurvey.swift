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

    /// What a device offers for others to be plugged in.
    typealias Bus = (device: String, path: String, name: String)

    private static let what = "asked for its devices"

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

    /// What is asked first.
    static let topic = [QOM.peripheral]
    static var lists: [QMPCommand<[QOM.Entry]>] { [.list(QOM.peripheral), .list(QOM.anonymous)] }
    static var others: [QMPCommand<[QMP.PCIBus]>] { [.pci] }
    static var handlers: [QMPCommand<String>] { [.get("hotplug-handler", of: QOM.conventionalBus)] }

    /// Lists the machine's devices: one round trip.
    init(of vm: QEMUVM) throws(HypervisorError) {
        let (lists, others, handlers) = try vm.ask(
            QEMUSurvey.what, about: QEMUSurvey.topic, QEMUSurvey.lists, QEMUSurvey.others, QEMUSurvey.handlers)
        let (pci, handler) = (others.first ?? nil, handlers.first ?? nil)
        self.vm = vm
        let parts =
            QEMUSurvey.parts((lists.first ?? nil) ?? [], below: QOM.peripheral, named: true)
            + QEMUSurvey.parts((lists.last ?? nil) ?? [], below: QOM.anonymous, named: false)
        // QOM lists in the order of a hash table.
        self.parts = parts.prefix(QEMUSurvey.limit).sorted { $0.path < $1.path }

        let root: [QMP.PCIDevice] = pci?.first { $0.bus == 0 }?.devices ?? []
        rootDevices = root.count
        addresses = Dictionary(root.map { ($0.id, $0.slot &* 8 &+ $0.function) }, uniquingKeysWith: min)
        isConventional = handler != nil
        let taken = Set(root.map(\.slot))
        slots =
            handler?.isEmpty == false
            ? vm.inOrder((1..<32).filter { !taken.contains(Int64($0)) }.map { .slot($0, bus: "pci.0") }) : []
    }

    /// PCI Express ports with nothing in them, `count` at most, in the order of their PCI addresses, in which a guest
    /// finds its disks.
    func freePorts(_ count: Int) throws(HypervisorError) -> [QEMUPlace] {
        var buses = try vm.inOrder(portBuses())[...]
        var result: [QEMUPlace] = []
        while result.count < count, !buses.isEmpty {
            // Each question costs QEMU a turn of its main loop: no more of them than are needed or go out together.
            let foreseen = vm.foreseen(of: buses.map(\.path))
            let some = buses.prefix(
                foreseen > 0 ? foreseen : max(count - result.count, QMPConnection.unansweredLimit / 2))
            buses = buses.dropFirst(some.count)
            let questions = QEMUSurvey.questions(about: some)
            let (lists, handlers) = try vm.ask(
                QEMUSurvey.what, about: some.map(\.path), questions.lists, questions.handlers)
            for (bus, (list, handler)) in zip(some, zip(lists, handlers)) where result.count < count {
                guard let list, list.busDevices.isEmpty, handler?.isEmpty == false else { continue }
                result.append(.port(bus: bus.name))
            }
        }
        return result
    }

    /// The buses of the PCI Express ports in the order of their PCI addresses.
    func portBuses() throws(HypervisorError) -> [Bus] {
        let ports = parts.filter(\.isPort).sorted { (address($0), $0.path) < (address($1), $1.path) }
        let buses = try buses(of: ports.map { (path: $0.path, id: $0.id) }, type: "PCIE")
        // QEMU names the bus of a port without id itself, and then may well have two "pcie.0".
        let names = Dictionary(buses.map { ($0.name, 1) } + [("pcie.0", 1)], uniquingKeysWith: +)
        return buses.filter { names[$0.name] == 1 }
    }

    /// What is asked of ports: what is in them, and whether they take devices while the machine is on.
    static func questions(
        about buses: some Sequence<Bus>
    ) -> (lists: [QMPCommand<[QOM.Entry]>], handlers: [QMPCommand<String>]) {
        (buses.map { .list($0.path) }, buses.map { .get("hotplug-handler", of: $0.path) })
    }

    /// Slot and function on the first bus; those that query-pci does not name come last.
    private func address(_ port: Part) -> Int64 { port.id.flatMap { addresses[$0] } ?? .max }

    /// The highest chassis number of the machine's ports.
    func lastChassis() throws(HypervisorError) -> Int64 {
        let numbers = try vm.ask(
            QEMUSurvey.what, parts.filter(\.isPort).map { QMPCommand<Int64>.get("chassis", of: $0.path) })
        return numbers.compactMap { $0 }.max() ?? 0
    }

    /// Free targets of virtio-scsi controllers, `count` at most.
    func freeTargets(_ count: Int) throws(HypervisorError) -> [QEMUPlace] {
        let controllers = parts.compactMap { part -> (path: String, id: String?)? in
            if part.type == "virtio-scsi-device" { return (part.path, nil) }
            return part.type.hasPrefix("virtio-scsi-pci") ? ("\(part.path)/virtio-backend", nil) : nil
        }
        return try free(
            onBusesOf: controllers, type: "SCSI", property: "scsi-id", count: count
        ) { (bus, taken: [Int64]) in
            let used = Set(taken)
            return vm.inOrder(Array(0..<256)).lazy.filter { !used.contains(Int64($0)) }.map {
                .scsi(target: $0, bus: bus)
            }
        }
    }

    /// Free ports of USB controllers, `count` at most. With its port given, QEMU does not slip a hub in.
    func freeUSBPorts(_ count: Int) throws(HypervisorError) -> [QEMUPlace] {
        // The fast ones first: they take devices of every speed.
        let controllers =
            parts.filter { $0.type.hasSuffix("-xhci") } + parts.filter { QEMUSurvey.usbPorts[$0.type] != nil }
        let (p2s, p3s) = try vm.ask(
            QEMUSurvey.what, controllers.map { QMPCommand<Int64>.get("p2", of: $0.path) },
            controllers.map { QMPCommand<Int64>.get("p3", of: $0.path) })
        var result: [QEMUPlace] = []
        for (controller, (p2, p3)) in zip(controllers, zip(p2s, p3s)) where result.count < count {
            let size = QEMUSurvey.usbPorts[controller.type] ?? Int(clamping: min(max(p2 ?? 0, p3 ?? 0), 30))
            result += try free(
                onBusesOf: [(controller.path, nil)], type: "usb-bus", property: "port", count: count - result.count
            ) { (bus, taken: [String]) in
                // A device behind a hub has the port "2.1".
                var used = Set(taken.compactMap { $0.split(separator: ".").first.map(String.init) })
                let numbers = 1...max(size, 1)
                // One that was given no port does not tell it either; QEMU gave it the lowest that was free.
                for _ in taken.filter(\.isEmpty) {
                    if let lowest = numbers.first(where: { !used.contains(String($0)) }) {
                        used.insert(String(lowest))
                    }
                }
                return vm.inOrder(Array(numbers)).lazy.filter { [used] in !used.contains(String($0)) }
                    .map { .usb(port: $0, bus: bus) }
            }
        }
        return result
    }

    /// Ports of the controllers that do not tell (hw/usb/hcd-ehci.h, hcd-uhci.h).
    private static let usbPorts = [
        "usb-ehci": 6, "ich9-usb-ehci1": 6, "ich9-usb-ehci2": 6, "piix3-usb-uhci": 2, "piix4-usb-uhci": 2,
    ]

    private func free<Property: Decodable>(
        onBusesOf controllers: [(path: String, id: String?)], type: String, property: String, count: Int,
        places: (_ bus: String, _ taken: [Property]) -> any Sequence<QEMUPlace>
    ) throws(HypervisorError) -> [QEMUPlace] {
        let buses = try buses(of: controllers, type: type)
        let lists = try vm.ask(QEMUSurvey.what, buses.map { .list($0.path) })
        var result: [QEMUPlace] = []
        for (bus, list) in zip(buses, lists) where result.count < count {
            let devices = (list ?? []).busDevices.prefix(QEMUSurvey.limit)
            let taken = try vm.ask(
                QEMUSurvey.what,
                devices.map { QMPCommand<Property>.get(property, of: "\(bus.path)/\($0.name)") })
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
    ) throws(HypervisorError) -> [Bus] {
        let unnamed = devices.filter { $0.id == nil }
        var lists = try vm.ask(QEMUSurvey.what, unnamed.map { .list($0.path) })[...]
        return devices.compactMap { device in
            if let id = device.id { return (device.path, "\(device.path)/\(id)", id) }
            guard let list = lists.popFirst() ?? nil,
                let name = list.children.first(where: { $0.childType == type })?.name
            else { return nil }
            return (device.path, "\(device.path)/\(name)", name)
        }
    }

    private static func parts(_ list: [QOM.Entry], below folder: String, named: Bool) -> [Part] {
        list.compactMap { entry in
            entry.childType.map { Part(path: "\(folder)/\(entry.name)", type: $0, id: named ? entry.name : nil) }
        }
    }
}

extension QEMUVM {
    /// Places in the order in which we take them.
    fileprivate func inOrder<Place>(_ places: [Place]) -> [Place] { isShared ? places.reversed() : places }
}
