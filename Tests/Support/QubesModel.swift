internal import Devices
package import Hypervisors

/// The VMs of a Qubes OS and what its Admin API says of them; without any I/O.
package struct QubesModel {
    package enum Release: CaseIterable, Sendable { case r42, r43, r44 }

    /// A device as its source VM exposes it.
    package struct Exposed: Sendable {
        package var port: String
        package var identity: String
        /// What else is in its row.
        package var properties: [QubesRow.Property]

        package init(_ port: String, _ identity: String, _ properties: [QubesRow.Property] = []) {
            self.port = port
            self.identity = identity
            self.properties = properties
        }
    }

    /// What is stored for a VM, or what it has.
    package struct Link: Sendable, Equatable {
        package var source: String
        package var port: String
        package var identity: String
        package var mode: String
        package var options: [QubesRow.Property]

        package init(
            _ source: String, _ port: String, _ identity: String = "*", mode: String = "required",
            _ options: [QubesRow.Property] = []
        ) {
            (self.source, self.port, self.identity, self.mode, self.options) = (
                source, port, identity, mode, options
            )
        }
    }

    package struct Domain: Sendable {
        package var state: String
        package var exposed: [String: [Exposed]] = [:]
        package var assigned: [String: [Link]] = [:]
        package var attached: [String: [Link]] = [:]
        /// What an Attach of a class comes to: nil succeeds.
        package var attachFails: (type: String, message: String)?
        /// An Attach that says yes and attaches nothing.
        package var attachesNothing = false
        package var hasDenyList = false
        package var properties = ["audiovm": "dom0", "virt_mode": "hvm", "guivm": "dom0"]
        /// Ports of devices that silently do not arrive at a start.
        package var losesAtStart: Set<String> = []
        /// What its source exposes only once it has been told of: a device that is late.
        package var late: [String: [Exposed]] = [:]

        package init(state: String = "Halted") { self.state = state }
    }

    package let release: Release
    package var domains: [String: Domain] = ["dom0": Domain()]
    /// Keys in another order, more blanks, and keys that no release has.
    package var isUntidy = false

    package init(release: Release) {
        self.release = release
        domains["dom0"]?.state = "Running"
    }

    /// Answers a request, and says what it was: `METHOD+ARGUMENT DESTINATION`.
    package mutating func answer(_ request: [UInt8]) -> (header: String, answer: AdminAnswer) {
        let parts = request.split(separator: 0, maxSplits: 1, omittingEmptySubsequences: false)
        let header = String(decoding: parts[0], as: UTF8.self)
        let words = header.split(separator: " ", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2, request.count <= 65_536, words.count == 4, words[1] == "dom0", words[2] == "name",
            let plus = words[0].firstIndex(of: "+"), let payload = String(validating: parts[1], as: UTF8.self)
        else { return (header, .nothing) }
        let (method, argument) = (String(words[0][..<plus]), String(words[0][words[0].index(after: plus)...]))
        let name = "\(words[0]) \(words[3])"
        guard domains[words[3]] != nil else { return (name, .nothing) }
        return (name, answer(method, argument, words[3], payload))
    }

    private mutating func answer(_ method: String, _ argument: String, _ vm: String, _ payload: String)
        -> AdminAnswer
    {
        switch method {
        case "admin.vm.List":
            return text(
                domains.sorted { $0.key < $1.key }.map {
                    "\($0.key) class=AppVM state=\($0.value.state) uuid=9725ee62-0000-4000-8000-000000000000\n"
                })
        case "admin.vm.CurrentState":
            return text(["mem=0 mem_static_max=0 cputime=0 power_state=\(domains[vm]?.state ?? "NA")"])
        case "admin.deviceclass.List": return text(["mic\n", "usb\n", "block\n", "pci\n"])
        case "admin.vm.Start":
            // qubesd does nothing for a VM that is up, or on its way.
            if domains[vm]?.state == "Halted" { boot(vm, without: domains[vm]?.losesAtStart ?? []) }
            return text([])
        case "admin.vm.property.Get":
            guard let value = domains[vm]?.properties[argument] else {
                return .exception(
                    type: "QubesNoSuchPropertyError", message: "Invalid property '%s' of %s",
                    arguments: [argument, vm])
            }
            return text(["default=True type=\(argument == "virt_mode" ? "str" : "vm") \(value)"])
        case "admin.vm.Kill":
            guard domains[vm]?.state != "Halted" else {
                return .exception(
                    type: "QubesVMNotStartedError", message: "Domain is powered off: '%s'", arguments: [vm])
            }
            domains[vm]?.state = "Halted"
            domains[vm]?.attached = [:]
            return text([])
        case "admin.Events": return text([])
        default: break
        }
        let words = method.split(separator: ".", maxSplits: 4).map(String.init)
        guard words.count == 5, words.prefix(3) == ["admin", "vm", "device"], DeviceClass(rawValue: words[3]) != nil
        else { return .nothing }
        return device(words[4], words[3], argument, vm, payload)
    }

    private mutating func device(
        _ verb: String, _ kind: String, _ argument: String, _ vm: String, _ payload: String
    ) -> AdminAnswer {
        guard let domain = domains[vm] else { return .nothing }
        let isNew = release != .r42
        switch verb {
        case "Available":
            guard domain.state == "Running" else { return text([]) }
            return text((domain.exposed[kind] ?? []).map { row(of: $0, kind, vm) })
        case "Assigned" where isNew: return text((domain.assigned[kind] ?? []).map { row(of: $0, kind, nil) })
        case "Attached" where isNew: return text((domain.attached[kind] ?? []).map { row(of: $0, kind, vm) })
        case "List" where !isNew:
            let stored = domain.assigned[kind] ?? []
            let live = (domain.attached[kind] ?? []).filter { live in !stored.contains { $0.port == live.port } }
            return text((stored + live).map { oldRow(of: $0, isStored: stored.contains($0)) })
        case "Assign" where isNew:
            guard let link = link(argument, kind, payload), link.mode != "manual", domains[link.source] != nil
            else {
                return .nothing
            }
            guard !(domain.assigned[kind] ?? []).contains(where: { isSame($0, link) }) else {
                return .exception(
                    type: "DeviceAlreadyAssigned", message: "\(kind) device \(link.port) already assigned to \(vm)",
                    arguments: [])
            }
            domains[vm]?.assigned[kind, default: []].append(link)
            return text([])
        case "Unassign" where isNew:
            guard let link = link(argument, kind, nil), let stored = domain.assigned[kind],
                stored.contains(where: { isSame($0, link) })
            else {
                return .exception(
                    type: "DeviceNotAssigned", message: "'\(kind) device \(argument) not assigned to \(vm)'",
                    arguments: [])
            }
            let rest = stored.filter { !isSame($0, link) }
            domains[vm]?.assigned[kind] = rest
            return text([])
        case "Set.assignment" where isNew:
            guard let link = link(argument, kind, nil),
                let index = domain.assigned[kind]?.firstIndex(where: { isSame($0, link) }),
                ["required", "auto-attach", "ask-to-attach"].contains(payload)
            else { return .nothing }
            domains[vm]?.assigned[kind]?[index].mode = payload
            return text([])
        case "Attach" where isNew: return attach(kind, argument, vm, payload)
        case "Detach":
            let port = argument.split(separator: "+").dropFirst().first.map(String.init) ?? ""
            guard let index = domain.attached[kind]?.firstIndex(where: { "\($0.source)+\($0.port)" == argument })
            else {
                return .exception(
                    type: "DeviceNotAssigned", message: "'\(kind) device \(port) not attached to \(vm)'",
                    arguments: [])
            }
            domains[vm]?.attached[kind]?.remove(at: index)
            return text([])
        default: return .nothing
        }
    }

    private mutating func attach(_ kind: String, _ argument: String, _ vm: String, _ payload: String) -> AdminAnswer
    {
        guard let link = link(argument, kind, payload), let domain = domains[vm] else { return .nothing }
        guard domain.state == "Running" else {
            return .exception(
                type: "QubesVMNotRunningError", message: "Domain is powered off: '%s'", arguments: [vm])
        }
        if domain.hasDenyList, argument.split(separator: "+", omittingEmptySubsequences: false).count < 3 {
            return denied("Could not load interfaces to verify against denied list")
        }
        if let failure = domain.attachFails {
            return .exception(type: failure.type, message: failure.message, arguments: [])
        }
        let source = domains[link.source]
        guard source?.state == "Running",
            let exposed = source?.exposed[kind]?.first(where: { $0.port == link.port }),
            link.identity == "*" || link.identity == exposed.identity
        else { return .nothing }
        let holder = domains.first {
            $0.value.attached[kind]?.contains { $0.source == link.source && $0.port == link.port } == true
        }
        if let holder, kind != "mic" {
            return .exception(
                type: "DeviceAlreadyAttached",
                message: "Device \(link.source):\(link.port):\(exposed.identity) already attached to \(holder.key)",
                arguments: [])
        }
        if !domain.attachesNothing { place(link, exposed, kind, on: vm) }
        return text([])
    }

    /// The device arrives in the VM, as qubesd tells it afterwards.
    private mutating func place(_ link: Link, _ exposed: Exposed, _ kind: String, on vm: String) {
        var live = link
        live.port = exposed.port
        live.identity = exposed.identity
        live.mode = "manual"
        if kind == "block" {
            let used = (domains[vm]?.attached[kind] ?? []).compactMap {
                $0.options.first { $0.key == "frontend-dev" }?.value
            }
            if !live.options.contains(where: { $0.key == "read-only" }) {
                live.options.append(QubesRow.Property("read-only", "no"))
            }
            if !live.options.contains(where: { $0.key == "frontend-dev" }),
                let free = "ijklmnop".map({ "xvd\($0)" }).first(where: { !used.contains($0) })
            {
                live.options.append(QubesRow.Property("frontend-dev", free))
            }
        }
        domains[vm]?.attached[kind, default: []].append(live)
    }

    /// What a start does, with all that it does not say: a required device that is there arrives, unless its port is
    /// among those that are silently not attached.
    package mutating func boot(_ vm: String, without missing: Set<String> = []) {
        let held = Set(
            domains.values.flatMap {
                $0.attached.flatMap { kind, links in links.map { "\(kind) \($0.source) \($0.port)" } }
            })
        domains[vm]?.state = "Running"
        for (kind, links) in domains[vm]?.assigned ?? [:] {
            for link in links where !missing.contains(link.port) && ["required", "auto-attach"].contains(link.mode)
            {
                guard
                    let exposed = domains[link.source]?.exposed[kind]?.first(where: {
                        (link.port == "*" || $0.port == link.port)
                            && (link.identity == "*" || $0.identity == link.identity)
                    }), kind == "mic" || !held.contains("\(kind) \(link.source) \(exposed.port)")
                else { continue }
                place(link, exposed, kind, on: vm)
            }
        }
    }

    private func denied(_ message: String) -> AdminAnswer {
        release == .r44 ? .exception(type: "PermissionDenied", message: message, arguments: []) : .nothing
    }

    private func isSame(_ left: Link, _ right: Link) -> Bool {
        left.source == right.source && left.port == right.port && escaped(left.identity) == escaped(right.identity)
    }

    private func escaped(_ identity: String) -> String {
        String(identity.map { $0 == ":" ? "+" : $0 == "*" || $0 == "?" ? "_" : $0 })
    }

    /// Argument and payload have to agree.
    private func link(_ argument: String, _ kind: String, _ payload: String?) -> Link? {
        let parts = argument.split(separator: "+", maxSplits: 2, omittingEmptySubsequences: false).map(String.init)
        guard parts.count >= 2 else { return nil }
        let port = parts[1] == "_" ? "*" : parts[1]
        guard let payload else { return Link(parts[0], port, parts.count == 3 ? parts[2] : "_") }
        guard let row = try? QubesRow(parsing: Array(payload.utf8), hasHead: false), let mode = row["mode"],
            row["backend_domain"] == parts[0], row["port_id"] == port, row["devclass"] == kind,
            let identity = row["device_id"], parts.count == 2 || escaped(identity) == parts[2]
        else { return nil }
        return Link(parts[0], port, identity, mode: mode, row.options)
    }

    private func text(_ lines: [String]) -> AdminAnswer { .data(Array(lines.joined().utf8)) }

    private func row(of exposed: Exposed, _ kind: String, _ vm: String) -> String {
        if release == .r42 {
            let mode = exposed.properties.first { $0.key == "mode" }?.value ?? "w"
            return
                "\(exposed.port) device_node=/dev/\(exposed.port) mode=\(mode) size=1048576 description=A disk (DATA)\n"
        }
        return line(
            "\(exposed.port):\(exposed.identity)",
            [
                QubesRow.Property("device_id", exposed.identity), QubesRow.Property("port_id", exposed.port),
                QubesRow.Property("devclass", kind), QubesRow.Property("backend_domain", vm),
            ] + exposed.properties)
    }

    private func row(of link: Link, _ kind: String, _ frontend: String?) -> String {
        line(
            "\(link.source)+\(link.port):\(link.identity)",
            [
                QubesRow.Property("device_id", link.identity), QubesRow.Property("port_id", link.port),
                QubesRow.Property("devclass", kind), QubesRow.Property("backend_domain", link.source),
                QubesRow.Property("mode", link.mode),
            ] + (frontend.map { [QubesRow.Property("frontend_domain", $0)] } ?? [])
                + link.options.map { QubesRow.Property("_\($0.key)", $0.value) })
    }

    private func oldRow(of link: Link, isStored: Bool) -> String {
        let options = link.options.map { "\($0.key)=\($0.value) " }.joined()
        return "\(link.source)+\(link.port) \(options)persistent=\(isStored ? "yes" : "no")\n"
    }

    private func line(_ head: String, _ properties: [QubesRow.Property]) -> String {
        guard isUntidy else { return QubesRow(head, properties).text + "\n" }
        let more = properties.reversed() + [QubesRow.Property("from_the_future", "it's new")]
        return head + "  " + more.map { QubesRow("", [$0]).text }.joined(separator: "   ") + "\n"
    }
}
