internal import Devices
internal import Platform

/// USB devices of other VMs, over usbredir.
///
/// QEMU takes `device_add usb-redir` for done with nobody at the other end. The device arrives afterwards: QEMU says hello
/// only while the VM runs (usbredir_write in hw/usb/redirect.c), the other side tells of the device then, and it is plugged
/// in as the VM's clock goes on. What counts is the property `attached`.
extension QEMUVM {
    /// How long a device may take to arrive.
    private static let arrival = Duration.seconds(5)

    /// Waits until the devices have arrived, or it is certain that they do not. A VM before its first instruction is let go for
    /// an instant at a time, so that QEMU and the source can talk: a thousandth of a second or two, in which there is but its
    /// firmware.
    func letArrive(_ requests: [AttachRequest]) throws(HypervisorError) {
        guard !requests.isEmpty else { return }
        let what = "asked for its USB devices"
        let deadline = Deadline(after: min(timeout, QEMUVM.arrival))
        let hasNotStarted = try state() == .notStarted
        var pause = Duration.milliseconds(5)
        while !deadline.hasPassed {
            let (attached, chardevs) = try ask(
                what, requests.map { QMPCommand<Bool>.get("attached", of: $0.id.path) }, [.chardevs])
            let connections: [QMP.ChardevState] = (chardevs.first ?? nil) ?? []
            let ended = Set(connections.filter(\.isDisconnected).map(\.label))
            let isOpen = zip(requests, attached).contains { request, isAttached in
                isAttached == false && !ended.contains(request.id.description)
            }
            guard isOpen else { return }
            if hasNotStarted {
                try call(what) { (connection) throws(QMPError) in
                    let (run, halt) = try connection.results(of: .run, .halt)
                    _ = try run.get()
                    _ = try halt.get()
                }
            }
            // No event tells of it: QEMU is asked again after a while, a few times in all.
            do { _ = try connection.event(until: Deadline(after: pause)) { _ in false } } catch {
                throw failure(what, error)
            }
            pause = min(pause * 2, .milliseconds(400))
        }
    }

    /// USB devices of other VMs whose connection has ended: QEMU keeps the empty plug.
    public func deadEnds() throws(HypervisorError) -> Set<AttachmentID> {
        let chardevs = try call("asked for its connections", .chardevs)
        return Set(chardevs.filter(\.isDisconnected).compactMap { AttachmentID($0.label) })
    }

    /// QEMU refuses any other make than the one that was told of (usb-redir's filter: class, vendor, product, version, and
    /// whether it may; -1 is any).
    static func filter(for device: Device) -> String? {
        for identity in device.identities {
            let fields = identity.description.split(separator: ":", omittingEmptySubsequences: false).prefix(2)
            let numbers = fields.filter { $0.utf8.count == 4 }.compactMap { UInt16($0, radix: 16) }
            guard let vendor = numbers.first, let product = numbers.dropFirst().first else { continue }
            return "-1:\(vendor):\(product):-1:1|-1:-1:-1:-1:0"
        }
        return nil
    }
}
