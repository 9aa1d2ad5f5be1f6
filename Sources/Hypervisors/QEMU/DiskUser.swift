internal import Devices
internal import Glibc
internal import Platform

/// A process that has a disk open, for error texts.
struct DiskUser: CustomStringConvertible {
    let pid: Int32
    /// The VM, by its command line's `-name`.
    let vm: String?

    /// "pid 4711, VM other".
    var description: String { "pid \(pid)" + (vm.map { ", VM \(printable($0, limit: 80))" } ?? "") }

    /// Looks in /proc for a QEMU that has the same device open, best effort, for a second at most.
    static func find(of disk: Descriptor, besides excluded: Int32?) -> DiskUser? {
        var status = stat()
        guard unsafe fstat(disk.raw, &status) == 0, let processes = try? names(in: "/proc") else { return nil }
        let own = getpid()
        let deadline = Deadline(after: .seconds(1))
        for entry in processes {
            guard !deadline.hasPassed else { return nil }
            guard let pid = Int32(entry), pid != own, pid != excluded, isQEMU(pid), has(pid, status) else {
                continue
            }
            return DiskUser(pid: pid, vm: vmName(of: pid))
        }
        return nil
    }

    private static func has(_ pid: Int32, _ disk: stat) -> Bool {
        guard let descriptors = try? names(in: "/proc/\(pid)/fd") else { return false }
        return descriptors.contains { number in
            var status = stat()
            guard unsafe stat("/proc/\(pid)/fd/\(number)", &status) == 0 else { return false }
            if disk.st_mode & S_IFMT == S_IFBLK {
                return status.st_mode & S_IFMT == S_IFBLK && status.st_rdev == disk.st_rdev
            }
            return status.st_dev == disk.st_dev && status.st_ino == disk.st_ino
        }
    }

    private static func isQEMU(_ pid: Int32) -> Bool {
        guard let program = arguments(of: pid).first?.split(separator: "/").last else { return false }
        return program.contains("qemu") || program == "kvm"
    }

    /// `-name work`, `-name guest=work,debug-threads=on`.
    private static func vmName(of pid: Int32) -> String? {
        let arguments = arguments(of: pid)
        guard let index = arguments.firstIndex(where: { $0 == "-name" || $0 == "--name" }),
            let value = arguments[safe: index + 1]
        else { return nil }
        let parts = value.split(separator: ",")
        let guest = parts.first { $0.hasPrefix("guest=") }?.dropFirst(6) ?? parts.first { !$0.contains("=") }
        return guest.map(String.init)
    }
}
