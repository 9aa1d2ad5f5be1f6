internal import Devices
internal import Platform
internal import Synchronization
internal import Systemd

/// libvirt over D-Bus, by libvirt-dbus (tried with 1.4.1). It gives the text of an error and no code.
final class LibvirtBus: LibvirtTransport {
    /// The name of libvirt-dbus on the bus.
    static let service = "org.libvirt"
    /// The object that is the connection to QEMU's driver, on a user's bus as on the system's.
    private static let connection = "/org/libvirt/QEMU"
    /// VIR_DOMAIN_AFFECT_LIVE.
    private static let live = BusValue.unsigned(1)

    private let bus: Mutex<Bus>
    /// For what libvirt-dbus cannot be asked.
    private let virsh: Virsh

    /// Takes over a connection on which libvirt-dbus answers.
    init(_ bus: sending Bus, virsh: Virsh) throws(LibvirtFailure) {
        do { try bus.listen(to: LibvirtBus.service) } catch { throw LibvirtFailure(error) }
        self.bus = Mutex(bus)
        self.virsh = virsh
    }

    func domains(active: Bool, by deadline: Deadline) throws(LibvirtFailure) -> [LibvirtDomain] {
        // VIR_CONNECT_LIST_DOMAINS_ACTIVE.
        let flags = BusValue.unsigned(active ? 1 : 0)
        let paths = try ask("Connect", "ListDomains", [flags], at: LibvirtBus.connection, by: deadline)
        guard let paths = paths.first?.list?.map(\.text) else { throw notUnderstood("ListDomains") }
        var domains: [LibvirtDomain] = []
        for path in paths {
            guard let path, let uuid = LibvirtBus.uuid(path) else { throw notUnderstood("ListDomains") }
            let method = Bus.Method(LibvirtBus.service, path, "org.freedesktop.DBus.Properties", "Get")
            do throws(LibvirtFailure) {
                let name = try ask(method, [.string("org.libvirt.Domain"), .string("Name")], by: deadline)
                guard let name = name.first?.text else { throw notUnderstood("Name") }
                domains.append(LibvirtDomain(uuid: uuid, name: name))
            } catch {
                // It has ended just now.
                if case .notRunning = error { continue }
                throw error
            }
        }
        return domains
    }

    func state(of domain: String, by deadline: Deadline) throws(LibvirtFailure) -> LibvirtState {
        let answer = try ask(domain, "GetState", [.unsigned(0)], by: deadline)
        guard let numbers = answer.first?.list, let state = numbers.first?.number, numbers.count == 2,
            let reason = numbers.last?.number
        else { throw notUnderstood("GetState") }
        return LibvirtState(state: state, reason: reason)
    }

    /// libvirt-dbus has none, so that virsh is used for it where it is installed.
    var reachesQEMU: Bool { virsh.reachesQEMU }

    func converse(
        with domain: String, _ commands: [String], passing: Descriptor?, by deadline: Deadline
    ) throws(LibvirtFailure) -> [String] {
        try virsh.converse(with: domain, commands, passing: passing, by: deadline)
    }

    func description(of domain: String, by deadline: Deadline) throws(LibvirtFailure) -> String {
        try description(of: domain, flags: 0, by: deadline)
    }

    /// VIR_DOMAIN_XML_SECURE and VIR_DOMAIN_XML_INACTIVE.
    func storedDescription(of domain: String, by deadline: Deadline) throws(LibvirtFailure) -> String {
        try description(of: domain, flags: 3, by: deadline)
    }

    private func description(
        of domain: String, flags: UInt32, by deadline: Deadline
    ) throws(LibvirtFailure) -> String {
        let answer = try ask(domain, "GetXMLDesc", [.unsigned(flags)], by: deadline)
        guard let text = answer.first?.text else { throw notUnderstood("GetXMLDesc") }
        return text
    }

    func attach(_ device: String, to domain: String, by deadline: Deadline) throws(LibvirtFailure) {
        _ = try ask(domain, "AttachDevice", [.string(device), LibvirtBus.live], by: deadline)
    }

    func detach(
        _ device: String, alias: String, from domain: String, by deadline: Deadline
    ) throws(LibvirtFailure) {
        _ = try ask(domain, "DetachDevice", [.string(device), LibvirtBus.live], by: deadline)
    }

    func reset(_ domain: String, by deadline: Deadline) throws(LibvirtFailure) {
        _ = try ask(domain, "Reset", [.unsigned(0)], by: deadline)
    }

    func resume(_ domain: String, by deadline: Deadline) throws(LibvirtFailure) {
        _ = try ask(domain, "Resume", [], by: deadline)
    }

    func destroy(_ domain: String, by deadline: Deadline) throws(LibvirtFailure) {
        _ = try ask(domain, "Destroy", [.unsigned(0)], by: deadline)
    }

    func waitForNews(of domain: String?, until deadline: Deadline) throws(LibvirtFailure) {
        let limit = Deadline(after: .milliseconds(min(1000, Int64(deadline.milliseconds))))
        do { try bus.withLock { bus throws(BusError) in try bus.waitForSignal(until: limit) } } catch {
            throw LibvirtFailure(error)
        }
    }

    private func ask(
        _ domain: String, _ member: String, _ arguments: [BusValue], by deadline: Deadline
    ) throws(LibvirtFailure) -> [BusValue] {
        let path = "\(LibvirtBus.connection)/domain/_" + domain.map { $0 == "-" ? "_" : String($0) }.joined()
        return try ask("Domain", member, arguments, at: path, by: deadline)
    }

    private func ask(
        _ interface: String, _ member: String, _ arguments: [BusValue], at path: String, by deadline: Deadline
    ) throws(LibvirtFailure) -> [BusValue] {
        try ask(Bus.Method(LibvirtBus.service, path, "org.libvirt.\(interface)", member), arguments, by: deadline)
    }

    private func ask(
        _ method: Bus.Method, _ arguments: [BusValue], by deadline: Deadline
    ) throws(LibvirtFailure) -> [BusValue] {
        do {
            return try bus.withLock { bus throws(BusError) in
                try bus.call(method, arguments, until: deadline)
            }
        } catch {
            throw LibvirtFailure(error)
        }
    }

    private func notUnderstood(_ member: String) -> LibvirtFailure {
        .notUnderstood("libvirt-dbus answers to \(member) with what is not understood")
    }

    /// "…/domain/_1b4e28ba_2fa1_11d2_883f_b9a761bde3fb".
    private static func uuid(_ path: String) -> String? {
        guard let last = path.split(separator: "/").last, last.utf8.count == 37, last.first == "_" else {
            return nil
        }
        return last.dropFirst().lowercased().map { $0 == "_" ? "-" : String($0) }.joined()
    }
}

extension LibvirtFailure {
    /// What the bus, libvirt-dbus or libvirt itself said.
    init(_ error: BusError) {
        switch error {
        case .noBus(let reason):
            self = reason.isPermission ? .forbidden("\(reason)") : .unreachable("\(reason)")
        case .silent: self = .unreachable("no answer in time from libvirt-dbus")
        case .broken(let reason): self = .unreachable("\(reason)")
        case .notUnderstood: self = .notUnderstood("libvirt-dbus answers with what is not understood")
        case .answered(let name, let text):
            let text = printable(text, limit: 1024)
            switch name.split(separator: ".").last {
            case "AccessDenied", "AuthFailed", "InteractiveAuthorizationRequired": self = .forbidden(text)
            case "NoReply", "Timeout", "TimedOut", "Disconnected", "NameHasNoOwner", "ServiceUnknown", "NoServer",
                "LimitsExceeded":
                self = .unreachable(text)
            case "UnknownMethod", "UnknownObject", "UnknownInterface", "InvalidArgs": self = .notUnderstood(text)
            default: self = LibvirtFailure(libvirt: text)
            }
        }
    }
}

extension LibvirtState {
    /// The numbers of virDomainState and of its reasons (libvirt-domain.h), in the words of virsh.
    init(state: Int, reason: Int) {
        let states = [
            "no state", "running", "idle", "paused", "in shutdown", "shut off", "crashed", "pmsuspended",
        ]
        let reasons: [Int: [String]] = [
            3: [
                "unknown", "user", "migrating", "saving", "dumping", "I/O error", "watchdog", "from snapshot",
                "shutting down", "creating snapshot", "crashed", "starting up", "post-copy", "post-copy failed",
                "api error",
            ],
            5: [
                "unknown", "shutdown", "destroyed", "crashed", "migrated", "saved", "failed", "from snapshot",
                "daemon",
            ],
        ]
        self.init(
            state: states[safe: state] ?? "state \(state)", reason: reasons[state]?[safe: reason] ?? "")
    }
}
