extension QMPCommand where Reply == [QMP.Disk] {
    /// query-block.
    static var disks: QMPCommand { QMPCommand("query-block") }
}

extension QMPCommand where Reply == QMP.Nothing {
    /// blockdev-add.
    static func add(_ node: QMP.Node) -> QMPCommand { QMPCommand("blockdev-add", node) }

    /// blockdev-del.
    static func removeNode(_ name: String) -> QMPCommand {
        QMPCommand("blockdev-del", QMP.NodeName(name: name))
    }
}
