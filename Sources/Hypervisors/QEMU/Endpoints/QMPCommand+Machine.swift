extension QMPCommand where Reply == QMP.Nothing {
    /// qmp_capabilities: ends the negotiation, without any capability.
    static var agreeOnCapabilities: QMPCommand { QMPCommand("qmp_capabilities") }
    /// cont: lets the guest run.
    static var run: QMPCommand { QMPCommand("cont") }
    /// stop: halts the guest.
    static var halt: QMPCommand { QMPCommand("stop") }
    /// system_reset.
    static var reset: QMPCommand { QMPCommand("system_reset") }
    /// quit: ends QEMU.
    static var quit: QMPCommand { QMPCommand("quit") }
}

extension QMPCommand where Reply == QMP.Name {
    /// query-name.
    static var name: QMPCommand { QMPCommand("query-name") }
}

extension QMPCommand where Reply == QMP.Status {
    /// query-status.
    static var status: QMPCommand { QMPCommand("query-status") }
}
