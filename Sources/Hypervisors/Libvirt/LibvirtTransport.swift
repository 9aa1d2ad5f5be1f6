internal import Platform

/// The few things that we ask of libvirt, however they get there. Domains are named by their UUID: a name could be taken
/// for a number or for another domain that was renamed.
protocol LibvirtTransport: Sendable {
    /// The domains that run, paused ones included; or all that libvirt knows.
    func domains(active: Bool, by deadline: Deadline) throws(LibvirtFailure) -> [LibvirtDomain]

    /// Where a domain is in its life, and libvirt's word for why ("running", "booted"; "paused", "user").
    func state(of domain: String, by deadline: Deadline) throws(LibvirtFailure) -> LibvirtState

    /// Whether there is a way to a domain's QEMU itself.
    var reachesQEMU: Bool { get }

    /// Has QEMU execute commands of QMP, a line of JSON each without a number, in order, the first with a copy of `passing`;
    /// answers with its replies.
    func converse(
        with domain: String, _ commands: [String], passing: Descriptor?, by deadline: Deadline
    ) throws(LibvirtFailure) -> [String]

    /// The description of the domain as it is now.
    func description(of domain: String, by deadline: Deadline) throws(LibvirtFailure) -> String

    /// The stored description of the domain, with all that is secret in it: what its next start begins with.
    func storedDescription(of domain: String, by deadline: Deadline) throws(LibvirtFailure) -> String

    /// Plugs a device into the running domain only, not into its stored description.
    func attach(_ device: String, to domain: String, by deadline: Deadline) throws(LibvirtFailure)

    /// Asks the guest to let go of the device with that description and alias; it may take its time.
    func detach(_ device: String, alias: String, from domain: String, by deadline: Deadline) throws(LibvirtFailure)

    /// Resets the domain, as the button does.
    func reset(_ domain: String, by deadline: Deadline) throws(LibvirtFailure)

    /// Lets a paused domain run.
    func resume(_ domain: String, by deadline: Deadline) throws(LibvirtFailure)

    /// Ends the domain as pulling its plug does.
    func destroy(_ domain: String, by deadline: Deadline) throws(LibvirtFailure)

    /// Waits until something may have happened to a domain, or to any: an event, or a second without one.
    func waitForNews(of domain: String?, until deadline: Deadline) throws(LibvirtFailure)
}

/// A domain of libvirt's.
struct LibvirtDomain: Hashable, Sendable {
    /// Its UUID, in lower case with dashes.
    let uuid: String
    /// Its name, whatever that may hold.
    let name: String
}

/// A domain's state in the words of virsh.
struct LibvirtState: Hashable, Sendable {
    /// "running", "paused", "shut off".
    let state: String
    /// "booted", "user"; empty when there is none.
    let reason: String
}

/// Why libvirt did not do it.
enum LibvirtFailure: Error, Equatable {
    /// We could not ask.
    case unreachable(String)
    /// We may not ask.
    case forbidden(String)
    /// There is no such domain, or it does not run.
    case notRunning(String)
    /// It said no, in these words.
    case refused(String)
    /// We did not understand the answer.
    case notUnderstood(String)

    /// Its words, or ours.
    var reason: String {
        switch self {
        case .unreachable(let text), .forbidden(let text), .notRunning(let text), .refused(let text),
            .notUnderstood(let text):
            text
        }
    }

    /// Sorts out what libvirt says, which has no codes that reach us (virsh and libvirt-dbus give the text alone). Any
    /// text that is not known is a refusal.
    init(libvirt text: String) {
        func says(_ words: String...) -> Bool { words.contains { text.contains($0) } }
        if says("Failed to connect socket", "failed to connect to the hypervisor", "Cannot connect to") {
            self =
                says("Permission denied", "uthentication", "access denied") ? .forbidden(text) : .unreachable(text)
        } else if says("authentication failed", "authentication unavailable", "access denied", "Access denied") {
            self = .forbidden(text)
        } else if says(
            "Connection reset by peer", "client socket is closed", "End of file while reading", "Broken pipe",
            "keepalive", "Disconnected from", "cannot acquire state change lock")
        {
            self = .unreachable(text)
        } else if says("Domain not found", "failed to get domain", "domain is not running") {
            self = .notRunning(text)
        } else {
            self = .refused(text)
        }
    }
}
