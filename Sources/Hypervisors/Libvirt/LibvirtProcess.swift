internal import Devices
internal import Platform

/// The QEMU of a domain. libvirt tells its number to nobody; it is in a file of libvirt's, and on the command line of the
/// process is the domain's UUID.
enum LibvirtProcess {
    /// Finds the process; nil when there is none, or more than one that may be it.
    static func find(_ domain: LibvirtDomain, root: Root) -> ProcessIdentity? {
        if let vm = try? VMName(domain.name), let pid = noted(vm, root), isQEMU(pid, of: domain) {
            return ProcessIdentity(of: pid)
        }
        // A user's session keeps the file elsewhere.
        let found = processes().filter { isQEMU($0, of: domain) }
        guard found.count == 1, let pid = found.first else { return nil }
        return ProcessIdentity(of: pid)
    }

    /// Whether there is a QEMU that libvirt has started for a domain of that name.
    static func isRunning(_ vm: VMName, root: Root) -> Bool {
        if let pid = noted(vm, root), isQEMU(pid, of: vm) { return true }
        return processes().contains { isQEMU($0, of: vm) }
    }

    /// The number that libvirt has written down.
    private static func noted(_ vm: VMName, _ root: Root) -> Int32? {
        guard let bytes = try? contents(of: root.path("/run/libvirt/qemu/\(vm).pid"), limit: 64) else { return nil }
        return Int32(String(decoding: bytes, as: UTF8.self).filter(\.isNumber))
    }

    /// The numbers of all processes.
    private static func processes() -> [Int32] { ((try? names(in: "/proc")) ?? []).compactMap { Int32($0) } }

    /// libvirt says `-name guest=work,debug-threads=on`.
    private static func isQEMU(_ pid: Int32, of vm: VMName) -> Bool {
        has(pid, "-name") { $0.split(separator: ",").contains("guest=\(vm)") }
    }

    private static func isQEMU(_ pid: Int32, of domain: LibvirtDomain) -> Bool {
        has(pid, "-uuid") { $0.lowercased() == domain.uuid }
    }

    /// Whether a process was started with that option, and with such a value.
    private static func has(_ pid: Int32, _ option: String, where isWanted: (String) -> Bool) -> Bool {
        let arguments = arguments(of: pid)
        return zip(arguments, arguments.dropFirst()).contains { $0 == option && isWanted($1) }
    }
}
