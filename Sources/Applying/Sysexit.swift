/// How a program of ours ends, by sysexits(3), so that systemd and scripts can tell the reasons apart.
public enum Sysexit: Int32, Sendable, CaseIterable {
    /// All is as it should be.
    case success = 0
    /// EX_USAGE: wrong arguments.
    case usage = 64
    /// EX_DATAERR: the assignment table is wrong.
    case tableWrong = 65
    /// EX_UNAVAILABLE: a device is not there, or not as it was asked for.
    case unavailable = 69
    /// EX_CANTCREAT: a device is taken by another VM or by the host.
    case taken = 73
    /// EX_IOERR: the hypervisor said no, or yes without doing it.
    case refused = 74
    /// EX_TEMPFAIL: the hypervisor cannot be reached in time.
    case unreachable = 75
    /// EX_NOPERM: we may not.
    case permission = 77
    /// EX_CONFIG: vmdev.conf or the VM's own configuration has to change first.
    case configuration = 78

    /// The one status for several problems: the one that has to be solved first, so that a service manager which
    /// retries on 69 and 75 does not retry what cannot get better by itself.
    public static func first(of statuses: some Sequence<Sysexit>) -> Sysexit {
        let order: [Sysexit] = [
            .configuration, .tableWrong, .permission, .taken, .refused, .unreachable, .unavailable, .usage,
        ]
        let present = Set(statuses)
        return order.first(where: present.contains) ?? .success
    }
}
