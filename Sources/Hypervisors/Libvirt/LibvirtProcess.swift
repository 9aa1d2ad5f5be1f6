internal import Devices
internal import Platform

/// The QEMU of a domain. libvirt tells its number to nobody; it is in a file of libvirt's, and on the command line of the
/// process is the domain's UUID.
enum LibvirtProcess {
    /// Finds the process; nil when there is none, or more than one that may be it.
    static func find(_ domain: LibvirtDomain, root: Root) -> ProcessIdentity? {
        if (try? VMName(domain.name)) != nil,
            let bytes = try? contents(of: root.path("/run/libvirt/qemu/\(domain.name).pid"), limit: 64),
            let pid = Int32(String(decoding: bytes, as: UTF8.self).filter(\.isNumber)), isQEMU(pid, of: domain)
        {
            return ProcessIdentity(of: pid)
        }
        // A user's session keeps the file elsewhere.
        let found = ((try? names(in: "/proc")) ?? []).compactMap { Int32($0) }.filter { isQEMU($0, of: domain) }
        guard found.count == 1, let pid = found.first else { return nil }
        return ProcessIdentity(of: pid)
    }

    private static func isQEMU(_ pid: Int32, of domain: LibvirtDomain) -> Bool {
        let arguments = arguments(of: pid)
        return zip(arguments, arguments.dropFirst()).contains { $0 == "-uuid" && $1.lowercased() == domain.uuid }
    }
}
