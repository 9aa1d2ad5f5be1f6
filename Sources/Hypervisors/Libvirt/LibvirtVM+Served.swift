internal import Devices
public import Platform

/// Devices that other VMs serve. libvirt has no words for most of them: an NBD server over vsock, one that comes back (before
/// 9.1), a USB device on a connection that is there already. So the domain's own QEMU gets them, as any other QEMU does, and
/// holds what keeps them exported; libvirt does not know of them.
extension LibvirtVM {
    /// Asks for the devices of this host in one way and for the others in another; answers in the order of the requests.
    func answers(
        to requests: [AttachRequest], own: ([AttachRequest]) throws(HypervisorError) -> [HypervisorError?],
        served: ([AttachRequest]) throws(HypervisorError) -> [HypervisorError?]
    ) throws(HypervisorError) -> [HypervisorError?] {
        let others = requests.filter { !$0.device.source.isHost }
        guard !others.isEmpty else { return try own(requests) }
        var ownAnswers = try own(requests.filter(\.device.source.isHost))[...]
        var otherAnswers = try served(others)[...]
        return requests.map { ($0.device.source.isHost ? ownAnswers.popFirst() : otherAnswers.popFirst()) ?? nil }
    }

    func placeServed(
        _ requests: [AttachRequest], _ description: LibvirtDescription
    ) throws(HypervisorError) -> [HypervisorError?] {
        guard transport.reachesQEMU else { return requests.map(unreachable) }
        return zip(requests, try machine.place(requests)).map { request, objection in
            objection?.kind == .noRoom ? noRoom(for: request, description) : objection
        }
    }

    func attachServed(_ request: AttachRequest) throws(HypervisorError) {
        guard transport.reachesQEMU else { throw unreachable(request) }
        try machine.attach(request)
    }

    /// Devices of other VMs whose connection has ended.
    public func deadEnds() throws(HypervisorError) -> Set<AttachmentID> {
        transport.reachesQEMU ? try machine.deadEnds() : []
    }

    /// QEMU holds it, as it did the one before.
    public func keep(_ lease: Descriptor, of id: AttachmentID) throws(HypervisorError) {
        try machine.keep(lease, of: id)
    }

    private func unreachable(_ request: AttachRequest) -> HypervisorError {
        HypervisorError(
            .unsupported,
            "VM \(name): \(request.device.name) is given to its QEMU by virsh, which is not installed",
            remedy: "Install it (Debian: libvirt-clients)")
    }
}
