/// What goes over the wire in the QEMU Machine Protocol: each type has just the members that we read or write, by their
/// names in QEMU's QAPI schema (https://www.qemu.org/docs/master/interop/qemu-qmp-ref.html).
enum QMP {
    /// A reply of which only the arrival counts; nothing of it is read.
    struct Nothing: Decodable, Hashable, Sendable {
        init() {}
        init(from decoder: any Decoder) {}
    }

    /// NameInfo: the answer of query-name.
    struct Name: Decodable, Sendable {
        /// The `-name` of the VM; nil for one without.
        let name: String?
    }

    /// StatusInfo: the answer of query-status.
    struct Status: Decodable, Sendable {
        /// A word of RunState (qapi/run-state.json).
        let status: String
    }
}
