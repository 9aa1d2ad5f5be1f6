internal import Devices
internal import Platform

/// Changes which driver has a PCI function, by the kernel's files; each write is a process of its own, because a driver
/// that is in use can keep it waiting for ever, and every further write to the same function with it.
struct PCIBinding {
    /// The function's full address.
    let address: String
    /// Where /sys and /sbin are.
    let root: Root
    /// Before which all of it has to be done.
    let deadline: Deadline

    /// Why a driver was not changed.
    enum Failure: Error {
        /// The kernel has not finished in time and may never do.
        case hangs(String)
        /// The kernel said no.
        case refused(SystemCallError)
    }

    private var folder: String { root.path("/sys/bus/pci/devices/\(address)") }

    /// Sets the driver that alone may have the function; nil ends that.
    func setOverride(_ driver: String?) throws(Failure) {
        try write("\(driver ?? "")\n", to: "\(folder)/driver_override")
    }

    /// Takes the function from a driver.
    func unbind(from driver: String) throws(Failure) {
        try write(address, to: root.path("/sys/bus/pci/drivers/\(driver)/unbind"))
    }

    /// Has the kernel look for the driver of the function. That it answers with success does not mean that there is one.
    func probe() throws(Failure) { try write(address, to: root.path("/sys/bus/pci/drivers_probe")) }

    /// Loads the driver vfio-pci where it is not there.
    func loadVFIO() throws(Failure) {
        let driver = root.path("/sys/bus/pci/drivers/vfio-pci")
        if (try? FileStatus.ofEntry(driver)) != nil { return }
        let program = root.path("/sbin/modprobe")
        do {
            let child = try ChildProcess.running(program, "vfio-pci")
            guard let status = try child.status(by: deadline) else { throw Failure.hangs("modprobe vfio-pci") }
            guard status == 0, (try? FileStatus.ofEntry(driver)) != nil else {
                throw Failure.refused(SystemCallError("modprobe", "vfio-pci", code: 2))
            }
        } catch let error as SystemCallError {
            throw .refused(error)
        } catch let error as Failure {
            throw error
        } catch {
            throw .hangs("modprobe vfio-pci")
        }
    }

    private func write(_ text: String, to path: String) throws(Failure) {
        let status: Int32?
        do {
            status = try ChildProcess.writing(text, to: path).status(by: deadline)
        } catch {
            throw .refused(error)
        }
        guard let status else { throw .hangs(path) }
        guard status == 0 else { throw .refused(SystemCallError("write", path, code: status)) }
    }
}

extension SourceError {
    /// Why a function did not come off its driver, or to another.
    init(_ failure: PCIBinding.Failure, _ name: String, from driver: String?) {
        let driver = driver.map { "its driver \(printable($0, limit: 64))" } ?? "the kernel"
        switch failure {
        case .hangs(let path):
            self.init(
                .inUse(.busy),
                "\(driver) does not let go of \(name) in time (\(path)), because something still uses it",
                remedy: """
                    End what uses it and try again; if nothing does, restart the host. The process that asked may stay \
                    in the kernel until then.
                    """)
        case .refused(let error) where error.call == "modprobe":
            self.init(
                .unfit, "\(name) cannot be given to a VM: the kernel's driver vfio-pci cannot be loaded",
                remedy: "Look for the reason with: modprobe -v vfio-pci.")
        case .refused(let error):
            self.init(
                error.isPermission || error.isReadOnly ? .forbidden : .unreadable,
                "\(name) could not get another driver: cannot \(error)",
                remedy: error.isPermission || error.isReadOnly
                    ? "Run this as root, and with a /sys that can be written (ProtectKernelTunables=no)." : nil)
        }
    }
}
