extension QMPCommand where Reply == [QMP.ChardevState] {
    /// query-chardev.
    static var chardevs: QMPCommand { QMPCommand("query-chardev") }
}

extension QMPCommand where Reply == QMP.Nothing {
    /// chardev-add; the answer has a member that only a pty has.
    static func add(_ chardev: QMP.Chardev) -> QMPCommand { QMPCommand("chardev-add", chardev) }

    /// chardev-remove.
    static func removeChardev(_ id: String) -> QMPCommand { QMPCommand("chardev-remove", QMP.DeviceID(id: id)) }
}
