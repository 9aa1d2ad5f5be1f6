internal import CSystemd
public import Platform

extension ServiceManager {
    /// Has the service manager of the host run its generators and read its units again, as `systemctl daemon-reload`
    /// does; answers false where no systemd runs. It waits for the end, 30 s at most.
    public func reload() throws(SystemCallError) -> Bool {
        guard sd_booted() > 0 else { return false }
        var bus: OpaquePointer?
        let opened = unsafe sd_bus_open_system(&bus)
        guard opened >= 0 else { throw SystemCallError("connect to", "systemd", code: opened) }
        defer { unsafe sd_bus_flush_close_unref(bus) }

        var message: OpaquePointer?
        let made = unsafe sd_bus_message_new_method_call(
            bus, &message, "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
            "org.freedesktop.systemd1.Manager",
            "Reload")
        guard made >= 0 else { throw SystemCallError("ask", "systemd to reload", code: made) }
        defer { unsafe sd_bus_message_unref(message) }
        let called = unsafe sd_bus_call(bus, message, 30_000_000, nil, nil)
        guard called >= 0 else { throw SystemCallError("have", "systemd reload", code: called) }
        return true
    }
}
