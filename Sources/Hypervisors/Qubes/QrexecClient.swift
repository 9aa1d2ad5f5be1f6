internal import Devices
public import Platform

/// The way to qubesd from a management VM: `qrexec-client-vm`, one process for each call. dom0's policy decides what the
/// VM may ask.
public struct QrexecClient: AdminTransport {
    /// The program, root included.
    public let path: String

    /// The program of the host under `root`.
    public init(root: Root) { path = root.path("/usr/bin/qrexec-client-vm") }

    /// All processes are started before the first answer is awaited.
    public func perform(_ calls: [AdminCall], until deadline: Deadline) -> [Result<[UInt8], QubesError>] {
        var running: [PipedProcess] = []
        let exchanges = calls.map { call in
            do throws(QubesError) {
                let client = try start(call)
                running.append(client)
                return AdminExchange(call, awaiting: client.output)
            } catch {
                return AdminExchange(call, failed: error)
            }
        }
        let results = AdminExchange.finish(exchanges, until: deadline)
        withExtendedLifetime(running) {}
        return results
    }

    /// Begins a call that goes on; the process ends with the stream.
    public func open(_ call: AdminCall, until deadline: Deadline) throws(QubesError) -> AdminStream {
        let client = try start(call)
        return AdminStream(client.output, keeping: client)
    }

    private func start(_ call: AdminCall) throws(QubesError) -> PipedProcess {
        let service = try call.checkedService()
        guard call.payload.count <= PipedProcess.maximumInput else {
            throw QubesError(.refused, "\(call.name): the request is longer than 32 KiB")
        }
        do {
            return try PipedProcess(path, [call.destination.description, service], sending: call.payload)
        } catch {
            throw QubesError(
                error.isPermission ? .forbidden : .unreachable, "qubesd cannot be asked through \(path): \(error)",
                remedy: "Is this a VM of Qubes OS with the package qubes-core-qrexec-vm?")
        }
    }
}
