public import Applying
public import Devices
internal import Platform

/// Tells the host that something has changed here: a connection, closed at once. It says nothing more, so that there is
/// nothing that the host would have to believe; it asks then what there is, as it always does.
public struct Announcement: Sendable {
    private let address: SourceAddress

    /// To whoever listens at that address of the host.
    public init(to address: SourceAddress) { self.address = address }

    /// Calls, and answers how the program ends. That nobody listens there is no failure: the host need not want to know.
    public func make() -> Sysexit {
        let deadline = Deadline(after: .seconds(10))
        do throws(SystemCallError) {
            switch address {
            case .vsock(let cid, let port): _ = try Connection.vsock(cid: cid, port: port, until: deadline)
            case .tcp(let host, let port): _ = try Connection.tcp(host: host, port: port, until: deadline)
            case .unix(let path): _ = try UnixSocket.connect(to: path, until: deadline)
            }
        } catch {
            writeStandardError(
                "vmdev-export: the host is not told, nobody listens at \(address): \(error.reason)\n")
        }
        return .success
    }
}
