internal import Devices
internal import Glibc
internal import Platform

/// Changes which driver has a PCI function, by the kernel's files.
struct PCIBinding {
    /// The function's full address.
    let address: String
    /// Where /sys, /dev and /sbin are.
    let root: Root
    /// The way to the kernel's files.
    let files: any DriverFiles
    /// Before which all of it has to be done.
    let deadline: Deadline

    /// Why a driver was not changed.
    enum Failure: Error {
        /// The kernel has not finished in time with that file and may never do.
        case hangs(String)
        /// The kernel said no.
        case refused(SystemCallError)
        /// The driver vfio-pci is not there and cannot be loaded.
        case noVFIO(String)
        /// Some process has this node open, and with it the function.
        case open(String)
    }

    private var override: String { root.path("/sys/bus/pci/devices/\(address)/driver_override") }

    /// The driver that alone may have the function, as an administrator or a program chose; nil when any may.
    func readOverride() throws(Failure) -> String? {
        let text: String?
        do { text = try files.read(override, by: deadline) } catch { throw .refused(error) }
        guard let text else { throw .hangs(override) }
        let name = text.prefix { $0 != "\n" }
        return name.isEmpty || name == "(null)" ? nil : String(name)
    }

    /// Sets the driver that alone may have the function; nil ends that.
    func setOverride(_ driver: String?) throws(Failure) { try write("\(driver ?? "")\n", to: override) }

    /// Takes the function from a driver.
    func unbind(from driver: String) throws(Failure) {
        try write(address, to: root.path("/sys/bus/pci/drivers/\(driver)/unbind"))
    }

    /// Has the kernel look for the driver of the function. That it answers with success does not mean that there is one.
    func probe() throws(Failure) { try write(address, to: root.path("/sys/bus/pci/drivers_probe")) }

    /// Loads the driver vfio-pci where it is not there.
    func loadVFIO() throws(Failure) {
        let driver = root.path("/sys/bus/pci/drivers/vfio-pci")
        guard (try? FileStatus.ofEntry(driver)) == nil else { return }
        let program = root.path("/sbin/modprobe")
        let status: Int32?
        do { status = try ChildProcess.running(program, "vfio-pci").status(by: deadline) } catch {
            throw .noVFIO("cannot \(error)")
        }
        guard let status else { throw .noVFIO("modprobe does not end") }
        guard status == 0 else { throw .noVFIO("modprobe ends with status \(status)") }
        guard (try? FileStatus.ofEntry(driver)) != nil else { throw .noVFIO("modprobe loads none") }
    }

    /// Waits until nobody has the node of an IOMMU group open: before that, vfio-pci would not let go of its functions,
    /// and the kernel would keep whoever asks. The kernel lets only one open it at a time.
    func waitUntilUnused(group: Int) throws(Failure) {
        let node = "/dev/vfio/\(group)"
        var watch: FolderWatch?
        while true {
            do {
                _ = try Descriptor.open(root.path(node), .readWrite)
                return
            } catch {
                guard error.code == EBUSY else { return }
                guard !deadline.hasPassed else { throw .open(node) }
            }
            do throws(SystemCallError) {
                if let watch {
                    // The notice comes just before the node is free, so none is waited for long.
                    _ = try watch.next(until: Deadline(after: .milliseconds(min(200, deadline.milliseconds))))
                } else {
                    watch = try FolderWatch(closingOf: [root.path(node)])
                }
            } catch {
                throw .refused(error)
            }
        }
    }

    private func write(_ text: String, to path: String) throws(Failure) {
        let isDone: Bool
        do { isDone = try files.write(text, to: path, by: deadline) } catch { throw .refused(error) }
        guard isDone else { throw .hangs(path) }
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
        case .open(let node):
            self.init(
                .inUse(.busy),
                "\(name) is still open in some process, and does not go back to the host before that ends",
                remedy: "Find it with: fuser -v \(node). When it has ended, use vmdev-apply --release VM.")
        case .noVFIO(let reason):
            self.init(
                .unfit,
                "\(name) cannot be given to a VM: the kernel's driver vfio-pci cannot be loaded (\(reason))",
                remedy: "Look for the reason with: modprobe -v vfio-pci.")
        case .refused(let error):
            let isForbidden = error.isPermission || error.isReadOnly
            self.init(
                isForbidden ? .forbidden : .unreadable, "\(name) could not get another driver: cannot \(error)",
                remedy: isForbidden
                    ? "Run this as root, and with a /sys that can be written (ProtectKernelTunables=no)." : nil)
        }
    }
}
