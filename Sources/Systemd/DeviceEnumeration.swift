internal import CSystemd
public import Platform

/// All devices of a subsystem that are there at one moment, those included that udev has not finished with.
public struct DeviceEnumeration {
    /// The devices, ordered by sd-device so that a parent comes before its children.
    public let devices: [SystemDevice]

    /// Lists a subsystem, 65536 devices at most; throws when /sys cannot be read.
    public init(subsystem: String) throws(SystemCallError) {
        var enumerator: OpaquePointer?
        var code = unsafe sd_device_enumerator_new(&enumerator)
        guard code >= 0, let enumerator = unsafe enumerator else {
            throw SystemCallError("list", subsystem, code: code)
        }
        defer { unsafe sd_device_enumerator_unref(enumerator) }

        code = unsafe sd_device_enumerator_allow_uninitialized(enumerator)
        if code >= 0 { code = unsafe sd_device_enumerator_add_match_subsystem(enumerator, subsystem, 1) }
        guard code >= 0 else { throw SystemCallError("list", subsystem, code: code) }

        var devices: [SystemDevice] = []
        var next = unsafe sd_device_enumerator_get_device_first(enumerator)
        while let device = unsafe next, devices.count < 65_536 {
            // The answer is the enumerator's own; a reference of ours keeps it beyond the enumerator.
            if let owned = unsafe sd_device_ref(device) { unsafe devices.append(SystemDevice(owning: owned)) }
            unsafe next = sd_device_enumerator_get_device_next(enumerator)
        }
        self.devices = devices
    }
}
