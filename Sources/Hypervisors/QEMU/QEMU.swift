public import Devices
internal import Glibc
public import Platform

/// Plain QEMU processes, each with a QMP socket that is ours alone.
public struct QEMU: Hypervisor {
    /// "QEMU".
    public let name = "QEMU"

    private let root: Root
    private let socket: VMNamePattern
    private let timeout: Duration

    /// Finds the VMs' sockets under `root` by `socket`, an absolute path with the VM's name in it;
    /// `timeout` is how long QEMU may take for one answer.
    public init(root: Root, socket: VMNamePattern, timeout: Duration) {
        self.root = root
        self.socket = socket
        self.timeout = timeout
    }

    /// Where the VM's socket is, root included.
    public func socketPath(of vm: VMName) -> String {
        root.path(socket.text(for: vm))
    }

    /// The VMs whose socket somebody serves, in order.
    ///
    /// Throws `.forbidden` when the folder or a socket may not be used.
    public func runningVMs() throws(HypervisorError) -> [VMName] {
        guard let (folder, before, after) = candidates() else { return [] }
        let entries: [String]
        do {
            entries = try names(in: folder)
        } catch {
            if error.isMissing { return [] }
            throw HypervisorError(
                error.isPermission ? .forbidden : .unreachable, "the QMP sockets cannot be listed: \(error)")
        }
        var result: [VMName] = []
        for entry in entries where entry.utf8.count > before.utf8.count + after.utf8.count {
            guard entry.hasPrefix(before), entry.hasSuffix(after),
                let vm = try? VMName(entry.dropFirst(before.count).dropLast(after.count)), !vm.isHost
            else { continue }
            do {
                if try QMPSocket(path: socketPath(of: vm)).isServed() { result.append(vm) }
            } catch {
                throw failure(of: vm, error)
            }
        }
        return result.sorted()
    }

    /// Opens the control connection of a VM.
    ///
    /// Throws `.notRunning`, `.unreachable`, `.forbidden`, `.wrongVM` or `.notUnderstood`.
    public func connect(
        to vm: VMName, until deadline: Deadline, waiting: Bool
    ) throws(HypervisorError) -> any RunningVM {
        let path = socketPath(of: vm)
        let (socket, watch) = try open(vm, QMPSocket(path: path), until: deadline, waiting: waiting)
        let connection: QMPConnection
        do {
            connection = try QMPConnection(greetedBy: socket, until: deadline, timeout: timeout)
            let (agreement, name) = try connection.results(of: .agreeOnCapabilities, .name)
            _ = try agreement.get()
            try checkName(of: vm, name.get())
        } catch let error as QMPError {
            throw noConversation(with: vm, error)
        } catch let error as HypervisorError {
            throw error
        } catch {
            throw HypervisorError(.unreachable, "VM \(vm): \(error)")
        }
        return QEMUVM(name: vm, connection: connection, timeout: timeout, watch: watch)
    }

    /// `frontend-dev` cannot be honoured.
    public func objection(to options: DeviceOptions, of deviceClass: DeviceClass) -> HypervisorError? {
        guard deviceClass == .block, options["frontend-dev"] != nil else { return nil }
        return HypervisorError(
            .unsupported, "frontend-dev cannot be honoured on QEMU: the guest names its own disks",
            remedy: "Drop the option, and have the guest use the disk by its serial: /dev/disk/by-id/virtio-SERIAL")
    }

    private func open(
        _ vm: VMName, _ socket: QMPSocket, until deadline: Deadline, waiting: Bool
    ) throws(HypervisorError) -> QMPSocket.Awaited {
        do {
            if !waiting { return (try socket.connect(until: deadline), nil) }
            if let served = try socket.connectWhenServed(until: deadline) { return served }
        } catch {
            throw failure(of: vm, error)
        }
        throw HypervisorError(
            .unreachable, "VM \(vm): nobody serves its QMP socket \(socket.path) in time",
            remedy: "Start its QEMU with -qmp unix:\(socket.path),server=on,wait=off")
    }

    private func failure(of vm: VMName, _ error: SystemCallError) -> HypervisorError {
        let path = socketPath(of: vm)
        if error.isMissing { return HypervisorError(.notRunning, "VM \(vm) is not running: there is no \(path)") }
        if error.code == ECONNREFUSED {
            return HypervisorError(.notRunning, "VM \(vm) is not running: nobody serves \(path)")
        }
        if error.isPermission {
            return HypervisorError(
                .forbidden, "VM \(vm): its QMP socket \(path) may not be used (\(error.reason))",
                remedy: "Run this as root or as the user of its QEMU")
        }
        if error.code == EAGAIN { return busy(vm, "its QMP socket \(path) takes no more connections") }
        return HypervisorError(.unreachable, "VM \(vm): \(error)")
    }

    private func busy(_ vm: VMName, _ what: String) -> HypervisorError {
        HypervisorError(
            .unreachable, "VM \(vm): \(what); probably another program holds this QMP socket",
            remedy: "Give vmdev a QMP socket of its own: \(socketPath(of: vm))")
    }

    private func noConversation(with vm: VMName, _ error: QMPError) -> HypervisorError {
        switch error {
        case .transport(let reason) where reason.contains("no greeting"):
            busy(vm, "\(socketPath(of: vm)) accepts the connection but sends no greeting in time")
        case .transport(let reason), .incapable(let reason):
            HypervisorError(.unreachable, "VM \(vm): \(socketPath(of: vm)): \(reason)")
        case .server:
            HypervisorError(.refused, "VM \(vm): its QMP socket cannot be used: \(error)")
        case .undecodable(_, let raw):
            HypervisorError(
                .notUnderstood, "VM \(vm): what serves \(socketPath(of: vm)) does not speak QMP: \(error)",
                remedy: String(decoding: raw, as: UTF8.self).contains("(qemu)")
                    || String(decoding: raw, as: UTF8.self).contains("monitor")
                    ? "That is QEMU's human monitor: start QEMU with -qmp, not with -monitor" : nil)
        }
    }

    private func checkName(of vm: VMName, _ answer: QMP.Name) throws(HypervisorError) {
        guard let answered = answer.name, answered != vm.description else { return }
        throw HypervisorError(
            .wrongVM, "VM \(vm): the QEMU at \(socketPath(of: vm)) is VM \(printable(answered, limit: 80))",
            remedy: "Start each VM's QEMU with its own socket path and -name \(vm)")
    }

    /// The folder whose entries stand for VMs, and what comes before and after the name in them; the rest of the
    /// pattern, if the name is a folder's, is looked at by connecting.
    private func candidates() -> (folder: String, before: String, after: String)? {
        guard let slash = socket.before.lastIndex(of: "/") else { return nil }
        let folder = root.path(String(socket.before[..<slash]))
        let before = socket.before[socket.before.index(after: slash)...]
        return (folder.isEmpty ? "/" : folder, String(before), String(socket.after.prefix { $0 != "/" }))
    }
}

extension Collection {
    /// The element there, or nil when there is none.
    subscript(safe index: Index) -> Element? { indices.contains(index) ? self[index] : nil }
}
