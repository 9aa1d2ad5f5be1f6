internal import CSystemd
public import Platform

/// Hears what udev says of devices once it has finished with them (sd_device_monitor_start(3)), from its making on, and
/// is the single owner of what listens.
///
/// It hears what is said in the network namespace of this process: udev speaks in the host's.
@safe
public final class DeviceMonitor {
    private let event: OpaquePointer
    private let monitor: OpaquePointer
    private let news = News()

    /// Whether something was said since it was last asked for.
    private final class News {
        var isHeard = false
    }

    /// Begins to listen to these subsystems ("usb", "block").
    public init(subsystems: some Sequence<String>) throws(SystemCallError) {
        var event: OpaquePointer?
        var code = unsafe sd_event_new(&event)
        guard code >= 0, let event = unsafe event else { throw SystemCallError("listen to", "udev", code: code) }
        var monitor: OpaquePointer?
        code = unsafe sd_device_monitor_new(&monitor)
        guard code >= 0, let monitor = unsafe monitor else {
            unsafe sd_event_unref(event)
            throw SystemCallError("listen to", "udev", code: code)
        }
        unsafe self.event = event
        unsafe self.monitor = monitor

        // What does not fit is lost, and libsystemd does not say so; the kernel may allow less.
        unsafe _ = sd_device_monitor_set_receive_buffer_size(monitor, 8 << 20)
        for subsystem in subsystems where code >= 0 {
            unsafe code = sd_device_monitor_filter_add_match_subsystem_devtype(monitor, subsystem, nil)
        }
        if code >= 0 { unsafe code = sd_device_monitor_attach_event(monitor, event) }
        if code >= 0 {
            let context = unsafe Unmanaged.passUnretained(news).toOpaque()
            unsafe code = sd_device_monitor_start(
                monitor,
                { _, _, context in
                    if let context = unsafe context {
                        unsafe Unmanaged<News>.fromOpaque(context).takeUnretainedValue().isHeard = true
                    }
                    return 0
                }, context)
        }
        guard code >= 0 else { throw SystemCallError("listen to", "udev", code: code) }
    }

    deinit {
        unsafe sd_device_monitor_unref(monitor)
        unsafe sd_event_unref(event)
    }

    /// Can be read, as poll(2) says it, when there is something to take.
    public var descriptor: Int32 { unsafe sd_event_get_fd(event) }

    /// Takes note of all that was said by now, without waiting; answers whether there was anything.
    public func take() throws(SystemCallError) -> Bool {
        news.isHeard = false
        while true {
            let code = unsafe sd_event_run(event, 0)
            guard code >= 0 else { throw SystemCallError("hear", "udev", code: code) }
            if code == 0 { return news.isHeard }
        }
    }
}
