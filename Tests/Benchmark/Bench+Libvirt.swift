extension Bench {
    /// Against `virsh attach-device`, where a libvirtd answers.
    func libvirt() throws {}
}
