internal import CLinux
internal import HostDevices
internal import Platform

/// A VM says nothing by itself of what comes there: it is asked again each second as long as somebody waits.
struct SourceClock: DeviceEvents {
    private let timer: Descriptor

    init() throws(SystemCallError) {
        let raw = vmdev_each_second()
        guard raw >= 0 else { throw SystemCallError("make", "a timer", code: raw) }
        timer = Descriptor(owning: raw)
    }

    var descriptor: Int32 { timer.raw }

    /// A second has passed: there may be something.
    func take() throws(SourceError) -> Bool {
        _ = try? timer.read(upTo: 8)
        return true
    }
}
