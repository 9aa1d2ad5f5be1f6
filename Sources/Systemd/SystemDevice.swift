internal import CSystemd
internal import Glibc
public import Platform

/// One device as sd-device(3) knows it, and the single owner of that reference.
///
/// libsystemd fills a device in as it is asked, so it belongs to one thread. Every text is copied out at once, at most
/// `maximumLength` bytes of it, with what is not UTF-8 replaced.
@safe
public final class SystemDevice {
    /// The longest text that is taken, in bytes: one page, as sysfs(5) has it.
    public static let maximumLength = 4096

    private let handle: OpaquePointer

    /// Takes over a reference.
    init(owning handle: OpaquePointer) { unsafe self.handle = handle }

    deinit { unsafe sd_device_unref(handle) }

    /// The device of that folder below /sys; nil when there is none.
    public static func at(syspath: String) throws(SystemCallError) -> SystemDevice? {
        try unsafe make("find", syspath) { result in unsafe sd_device_new_from_syspath(&result, syspath) }
    }

    /// The device of that name in a subsystem ("block", "sda1"); nil when there is none.
    public static func named(_ sysname: String, in subsystem: String) throws(SystemCallError) -> SystemDevice? {
        try unsafe make("find", "\(subsystem) \(sysname)") { result in
            unsafe sd_device_new_from_subsystem_sysname(&result, subsystem, sysname)
        }
    }

    /// The device of that kernel id, such as `b8:1` or `+usb:2-1`; nil when there is none.
    public static func identified(_ id: String) throws(SystemCallError) -> SystemDevice? {
        try unsafe make("find", id) { result in unsafe sd_device_new_from_device_id(&result, id) }
    }

    private static func make(
        _ call: String, _ subject: String, _ body: (inout OpaquePointer?) -> Int32
    ) throws(SystemCallError) -> SystemDevice? {
        var result: OpaquePointer?
        let code = unsafe body(&result)
        if code == -ENODEV || code == -ENOENT || code == -ENXIO { return nil }
        guard code >= 0, let result = unsafe result else { throw SystemCallError(call, subject, code: code) }
        return unsafe SystemDevice(owning: result)
    }

    /// Its folder, "/sys/devices/…".
    public var syspath: String? {
        unsafe text { value in unsafe sd_device_get_syspath(handle, &value) }
    }

    /// Its name in the subsystem, with `!` where the node's name has `/`.
    public var sysname: String? {
        unsafe text { value in unsafe sd_device_get_sysname(handle, &value) }
    }

    /// Its subsystem.
    public var subsystem: String? {
        unsafe text { value in unsafe sd_device_get_subsystem(handle, &value) }
    }

    /// Its kind in the subsystem ("disk", "partition", "usb_device").
    public var devtype: String? {
        unsafe text { value in unsafe sd_device_get_devtype(handle, &value) }
    }

    /// Its node, "/dev/…".
    public var devname: String? {
        unsafe text { value in unsafe sd_device_get_devname(handle, &value) }
    }

    /// Its driver's name.
    public var driver: String? {
        unsafe text { value in unsafe sd_device_get_driver(handle, &value) }
    }

    /// Its major and minor number, if it has a node.
    public var devnum: (major: UInt32, minor: UInt32)? {
        var number: dev_t = 0
        guard unsafe sd_device_get_devnum(handle, &number) >= 0 else { return nil }
        // The layout of dev_t in glibc (sys/sysmacros.h).
        let major = (number >> 8) & 0xfff | (number >> 32) & 0xffff_f000
        let minor = number & 0xff | (number >> 12) & 0xffff_ff00
        return (UInt32(truncatingIfNeeded: major), UInt32(truncatingIfNeeded: minor))
    }

    /// Whether udev has finished with it; false where udev does not run.
    public var isInitialized: Bool { unsafe sd_device_get_is_initialized(handle) > 0 }

    /// A property of udev or of the kernel's uevent ("ID_SERIAL_SHORT").
    public func property(_ key: String) -> String? {
        unsafe text { value in unsafe sd_device_get_property_value(handle, key, &value) }
    }

    /// An attribute, a file of its folder ("size", "device/model"), without its line end.
    public func attribute(_ name: String) -> String? {
        unsafe text { value in unsafe sd_device_get_sysattr_value(handle, name, &value) }
    }

    /// The nearest device above it of a subsystem, and of a kind if one is given.
    public func parent(in subsystem: String, devtype: String? = nil) -> SystemDevice? {
        var parent: OpaquePointer?
        let code = unsafe sd_device_get_parent_with_subsystem_devtype(handle, subsystem, devtype, &parent)
        // The answer is the child's own; a reference of ours keeps it beyond the child.
        guard code >= 0, let parent = unsafe parent, let owned = unsafe sd_device_ref(parent) else { return nil }
        return unsafe SystemDevice(owning: owned)
    }

    /// Its links below /dev that udev made, whole paths, 1024 at most.
    public var devlinks: [String] {
        var links: [String] = []
        var next = unsafe sd_device_get_devlink_first(handle)
        while let link = unsafe next, links.count < 1024 {
            unsafe links.append(copy(link))
            unsafe next = sd_device_get_devlink_next(handle)
        }
        return links
    }

    private func text(_ body: (inout UnsafePointer<CChar>?) -> Int32) -> String? {
        var value: UnsafePointer<CChar>?
        guard unsafe body(&value) >= 0, let value = unsafe value else { return nil }
        return unsafe copy(value)
    }
}

/// Copies a C string of libsystemd's, which lives only as long as its device.
private func copy(_ text: UnsafePointer<CChar>) -> String {
    let count = unsafe strnlen(text, SystemDevice.maximumLength)
    let bytes = unsafe UnsafeRawBufferPointer(start: text, count: count)
    return unsafe String(decoding: bytes, as: UTF8.self)
}
