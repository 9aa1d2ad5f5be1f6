internal import CSystemd
internal import Glibc
public import Platform

extension ServiceManager {
    /// Whether the host is still booting: systemd has not come to the end of its first queue of jobs (`systemctl
    /// is-system-running` says `initializing` or `starting`). False where no systemd runs. It waits for the answer, 5 s at
    /// most.
    public func isBooting() throws(SystemCallError) -> Bool {
        guard sd_booted() > 0 else { return false }
        return ["initializing", "starting"].contains(try systemState())
    }

    /// systemd's own socket, which answers root before there is a bus, else the bus.
    private func systemState() throws(SystemCallError) -> String {
        do {
            return try unsafe property("SystemState") { bus in
                var code = unsafe sd_bus_new(&bus)
                if code >= 0 { unsafe code = sd_bus_set_address(bus, "unix:path=/run/systemd/private") }
                if code >= 0 { unsafe code = sd_bus_start(bus) }
                return code
            }
        } catch {
            return try unsafe property("SystemState") { bus in unsafe sd_bus_open_system(&bus) }
        }
    }

    private func property(
        _ name: String, _ open: (inout OpaquePointer?) -> Int32
    ) throws(SystemCallError) -> String {
        var bus: OpaquePointer?
        let opened = unsafe open(&bus)
        defer { if unsafe bus != nil { unsafe sd_bus_flush_close_unref(bus) } }
        guard opened >= 0, unsafe bus != nil else { throw SystemCallError("connect to", "systemd", code: opened) }
        unsafe _ = sd_bus_set_method_call_timeout(bus, 5_000_000)
        var text: UnsafeMutablePointer<CChar>?
        let code = unsafe sd_bus_get_property_string(
            bus, "org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager", name,
            nil,
            &text)
        guard code >= 0, let text = unsafe text else {
            throw SystemCallError("ask", "systemd for \(name)", code: code)
        }
        defer { unsafe free(text) }
        return unsafe String(cString: text)
    }
}
