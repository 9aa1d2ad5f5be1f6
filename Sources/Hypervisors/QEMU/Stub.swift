public import Devices
public import Platform
public struct QEMU: Hypervisor {
    public let name = "QEMU"
    public init(root: Root, socketPattern: String, timeout: Duration) {}
    public func runningVMs() throws(HypervisorError) -> [VMName] { [] }
    public func connect(to vm: VMName, until deadline: Deadline, waiting: Bool) throws(HypervisorError) -> any RunningVM { throw HypervisorError(.notRunning, "x") }
    public func objection(to options: DeviceOptions, of deviceClass: DeviceClass) -> HypervisorError? { nil }
}
