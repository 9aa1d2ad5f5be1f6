internal import Devices
public import Platform

/// qubesd's own socket, in dom0.
public struct QubesdSocket: AdminTransport {
    /// Where it is, root included.
    public let path: String

    /// How many connections are open at a time; qubesd lets 100 wait.
    private static let width = 64

    /// The socket of the host under `root`.
    public init(root: Root) { path = root.path("/var/run/qubesd.sock") }

    /// All requests are sent before the first answer is awaited, so that many take as long as one.
    public func perform(_ calls: [AdminCall], until deadline: Deadline) -> [Result<[UInt8], QubesError>] {
        var results: [Result<[UInt8], QubesError>] = []
        var rest = calls[...]
        while !rest.isEmpty {
            results += exchange(Array(rest.prefix(QubesdSocket.width)), until: deadline)
            rest = rest.dropFirst(QubesdSocket.width)
        }
        return results
    }

    /// Begins a call that goes on.
    public func open(_ call: AdminCall, until deadline: Deadline) throws(QubesError) -> AdminStream {
        AdminStream(try send(call, until: deadline).descriptor)
    }

    private func exchange(_ calls: [AdminCall], until deadline: Deadline) -> [Result<[UInt8], QubesError>] {
        AdminExchange.finish(
            calls.map { call in
                do throws(QubesError) {
                    return AdminExchange(call, awaiting: try send(call, until: deadline).descriptor)
                } catch {
                    return AdminExchange(call, failed: error)
                }
            }, until: deadline)
    }

    private func send(_ call: AdminCall, until deadline: Deadline) throws(QubesError) -> UnixSocket {
        let request = try call.request()
        do {
            let socket = try UnixSocket.connect(to: path, until: deadline)
            guard try socket.send(request, until: deadline) else { throw QubesError.late(call) }
            try socket.finishSending()
            return socket
        } catch let error as QubesError {
            throw error
        } catch let error as SystemCallError {
            throw failure(error)
        } catch {
            throw QubesError(.unreachable, "qubesd cannot be asked: \(error)")
        }
    }

    private func failure(_ error: SystemCallError) -> QubesError {
        if error.isPermission {
            return QubesError(
                .forbidden, "qubesd's socket \(path) may not be used (\(error.reason))",
                remedy: "Run this as root, or as a member of the group qubes.")
        }
        if error.isMissing {
            return QubesError(
                .unreachable, "there is no \(path): this is not dom0 of a Qubes OS, or qubesd does not run",
                remedy: "In dom0: systemctl start qubesd. On another host set Hypervisor= in vmdev.conf.")
        }
        return QubesError(
            .unreachable, "qubesd cannot be asked: \(error)", remedy: "Is it running? systemctl status qubesd")
    }
}
