public import Platform

/// What proves that a VM has a device, for exactly as long as its process lives.
public enum Custody {
    /// The VM's process takes copies of the locked files, so that the kernel frees the locks when it ends.
    case locks(any LockKeeper)
    /// Nothing can be handed to it: a lease names the process and is void when that has ended.
    case lease(LeaseHolder)
    /// The hypervisor itself keeps account of who has what, and gives a device to nobody else (qubesd).
    case hypervisor
}

/// A VM whose process can hold open files for us.
public protocol LockKeeper: AnyObject {
    /// Gives the VM's process a copy of an open file, to hold as long as it has the device (or lives).
    func hold(_ descriptor: Descriptor, as name: String) throws(HypervisorError)

    /// Has the VM's process close a file that it holds; one that it does not hold is no error.
    func letGo(_ name: String) throws(HypervisorError)
}

/// Who a lease is made out to.
public struct LeaseHolder: Hashable, Sendable {
    /// What the hypervisor calls this VM for good, whatever its name (libvirt: the UUID of the domain).
    public let domain: String
    /// The process that is the VM.
    public let process: ProcessIdentity

    /// Joins both.
    public init(domain: String, process: ProcessIdentity) {
        self.domain = domain
        self.process = process
    }
}
