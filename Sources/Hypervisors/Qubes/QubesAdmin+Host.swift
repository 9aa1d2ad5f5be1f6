public import Platform

extension QubesAdmin {
    /// Whether this host is dom0 of a Qubes OS, or one of its VMs: whether qubesd's socket, or the way to it from a
    /// management VM, is there.
    public static func isPresent(root: Root) -> Bool {
        [QubesdSocket(root: root).path, QrexecClient(root: root).path].contains {
            (try? FileStatus.ofEntry($0)) != nil
        }
    }

    /// The qubesd of the host under `root`: by its socket in dom0, and through qrexec where there is none.
    public init(root: Root, timeout: Duration) {
        let socket = QubesdSocket(root: root)
        let client = QrexecClient(root: root)
        let isInDom0 =
            (try? FileStatus.ofEntry(socket.path)) != nil || (try? FileStatus.ofEntry(client.path)) == nil
        self.init(over: isInDom0 ? socket : client, timeout: timeout)
    }
}
