internal import Devices
internal import Platform

/// libvirt by its own command line program, a child process for each question.
struct Virsh: LibvirtTransport {
    /// Where virsh is.
    let program: String
    /// Which libvirt: "qemu:///system".
    let uri: String
    /// What of our environment virsh gets: where the session of a user is.
    let environment: [String]

    /// Whether it is installed.
    var reachesQEMU: Bool { (try? FileStatus.ofEntry(program)) != nil }

    func domains(active: Bool, by deadline: Deadline) throws(LibvirtFailure) -> [LibvirtDomain] {
        try run(["list", "--uuid", "--name"] + (active ? [] : ["--all"]), by: deadline).split(separator: "\n")
            .compactMap { line in
                // "UUID NAME", and a name may have blanks.
                let parts = line.split(separator: " ", maxSplits: 1)
                guard parts.count == 2, let uuid = parts.first, uuid.utf8.count == 36, let name = parts.last,
                    uuid.allSatisfy({ $0.isHexDigit || $0 == "-" })
                else { return nil }
                return LibvirtDomain(uuid: String(uuid), name: String(name))
            }
    }

    func state(of domain: String, by deadline: Deadline) throws(LibvirtFailure) -> LibvirtState {
        let text = try run("domstate", domain, "--reason", by: deadline).filter { $0 != "\n" }
        guard text.hasSuffix(")"), let open = text.lastIndex(of: "(") else {
            return LibvirtState(state: text, reason: "")
        }
        return LibvirtState(
            state: String(text[..<open].dropLast()), reason: String(text[text.index(after: open)...].dropLast()))
    }

    /// One virsh for all commands. libvirt notes in its log that somebody talked to the monitor ("tainted: custom-monitor").
    /// Its --pass-fds is of libvirt 8.2.
    func converse(
        with domain: String, _ commands: [String], passing: Descriptor?, by deadline: Deadline
    ) throws(LibvirtFailure) -> [String] {
        // virsh reads one argument as its own little shell does: within quotes all is taken as it is. In JSON there are
        // apostrophes in texts only.
        let calls = commands.enumerated().map { index, command in
            let options = index == 0 && passing != nil ? "--pass-fds 3 " : ""
            let json = command.split(separator: "'", omittingEmptySubsequences: false).joined(separator: #"\u0027"#)
            return "qemu-monitor-command \(options)'\(domain)' '\(json)'"
        }
        let output = try run([calls.joined(separator: "; ")], passing: passing, by: deadline)
        let replies = output.split(separator: "\n").map(String.init)
        guard replies.count == commands.count else {
            throw .notUnderstood("its QEMU gives \(replies.count) answers to \(commands.count) commands")
        }
        return replies
    }

    func description(of domain: String, by deadline: Deadline) throws(LibvirtFailure) -> String {
        try run("dumpxml", domain, by: deadline)
    }

    func storedDescription(of domain: String, by deadline: Deadline) throws(LibvirtFailure) -> String {
        try run("dumpxml", domain, "--inactive", "--security-info", by: deadline)
    }

    func attach(_ device: String, to domain: String, by deadline: Deadline) throws(LibvirtFailure) {
        _ = try run("attach-device", domain, "/dev/stdin", "--live", input: device, by: deadline)
    }

    func detach(
        _ device: String, alias: String, from domain: String, by deadline: Deadline
    ) throws(LibvirtFailure) {
        _ = try run("detach-device-alias", domain, alias, "--live", by: deadline)
    }

    func reset(_ domain: String, by deadline: Deadline) throws(LibvirtFailure) {
        _ = try run("reset", domain, by: deadline)
    }

    func resume(_ domain: String, by deadline: Deadline) throws(LibvirtFailure) {
        _ = try run("resume", domain, by: deadline)
    }

    func destroy(_ domain: String, by deadline: Deadline) throws(LibvirtFailure) {
        _ = try run("destroy", domain, by: deadline)
    }

    /// That nothing happened for a second is a failure to virsh, and none to us.
    func waitForNews(of domain: String?, until deadline: Deadline) throws(LibvirtFailure) {
        let which = domain.map { ["--domain", $0] } ?? []
        let event = domain == nil ? "lifecycle" : "device-removed"
        // The wait ends by itself; only a virsh that does not answer takes longer.
        let limit = Deadline(after: .seconds(10))
        do { _ = try run(["event", "--event", event, "--timeout", "1"] + which, by: limit) } catch {
            if case .refused = error { return }
            throw error
        }
    }

    private func run(
        _ arguments: String..., input: String = "", by deadline: Deadline
    ) throws(LibvirtFailure) -> String {
        try run(arguments, input: input, by: deadline)
    }

    private func run(
        _ arguments: [String], input: String = "", passing: Descriptor? = nil, by deadline: Deadline
    ) throws(LibvirtFailure) -> String {
        let ending: ChildProcess.Ending?
        do {
            ending = try ChildProcess.ending(
                of: program, ["--connect", uri, "--quiet"] + arguments, environment: ["LC_ALL=C"] + environment,
                input: Array(input.utf8), passing: passing, by: deadline)
        } catch {
            throw error.isMissing
                ? .unreachable("\(program) is not installed") : .unreachable("virsh cannot be used: \(error)")
        }
        guard let ending else { throw .unreachable("no answer in time to virsh \(arguments.first ?? "")") }
        guard ending.status == 0 else {
            let lines = String(decoding: ending.error, as: UTF8.self).split(separator: "\n")
            let text = lines.map { $0.hasPrefix("error: ") ? String($0.dropFirst(7)) : String($0) }
            throw LibvirtFailure(libvirt: printable(text.joined(separator: ": "), limit: 1024))
        }
        guard let output = String(validating: ending.output, as: UTF8.self) else {
            throw .notUnderstood("virsh \(arguments.first ?? "") answers with what is no text")
        }
        return output
    }
}
