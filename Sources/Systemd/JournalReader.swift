internal import CSystemd
public import Platform

/// Reads entries of the journal (sd-journal(3)), newest first; the single owner of that handle, for one thread.
@safe
public final class JournalReader {
    /// The longest value that is taken, in bytes.
    public static let maximumLength = 4096

    private let handle: OpaquePointer

    /// Opens the journal of the host, or of the system in another root.
    ///
    /// libsystemd opens a journal of which it may read no file, and finds nothing in it: that is an error here.
    public init(root: Root) throws(SystemCallError) {
        try JournalReader.checkPermission(root)
        var opened: OpaquePointer?
        let code =
            root.isHost
            ? unsafe sd_journal_open(&opened, Int32(SD_JOURNAL_SYSTEM))
            : unsafe sd_journal_open_directory(&opened, root.prefix, Int32(SD_JOURNAL_OS_ROOT))
        guard code >= 0, let handle = unsafe opened else {
            throw SystemCallError("open", "the journal", code: code)
        }
        unsafe self.handle = handle
    }

    deinit { unsafe sd_journal_close(handle) }

    /// Fails when the system's journal is there and none of it may be read. (journald keeps it in /run or in /var, in a
    /// folder named for the machine; a user's own journal beside it says nothing of VMs.)
    private static func checkPermission(_ root: Root) throws(SystemCallError) {
        var refusal: SystemCallError?
        for folder in ["/run/log/journal", "/var/log/journal"].map(root.path) {
            for machine in (try? names(in: folder)) ?? [] {
                let path = "\(folder)/\(machine)/system.journal"
                do {
                    _ = try Descriptor.open(path)
                    return
                } catch {
                    if error.isPermission { refusal = error }
                }
            }
        }
        if let refusal { throw refusal }
    }

    /// One entry, as far as it was asked for.
    public struct Entry: Hashable, Sendable {
        /// Microseconds since 1970, by the clock of the host.
        public let time: UInt64
        /// The values of the fields, by their names.
        public let values: [String: String]

        /// Describes an entry.
        public init(time: UInt64, values: [String: String]) {
            self.time = time
            self.values = values
        }
    }

    /// The entries that have one of the values of each field in `matching`, newest first, until `body` answers false.
    /// Only `fields` are read.
    public func forEach(
        matching: [(field: String, values: [String])], fields: [String], _ body: (Entry) -> Bool
    ) throws(SystemCallError) {
        for (field, values) in matching {
            for value in values {
                let text = "\(field)=\(value)"
                let code = unsafe sd_journal_add_match(handle, text, text.utf8.count)
                guard code >= 0 else { throw SystemCallError("search", "the journal", code: code) }
            }
        }
        defer { unsafe sd_journal_flush_matches(handle) }
        let sought = unsafe sd_journal_seek_tail(handle)
        guard sought >= 0 else { throw SystemCallError("search", "the journal", code: sought) }
        while true {
            let code = unsafe sd_journal_previous(handle)
            guard code >= 0 else { throw SystemCallError("read", "the journal", code: code) }
            guard code > 0 else { return }
            var time: UInt64 = 0
            guard unsafe sd_journal_get_realtime_usec(handle, &time) >= 0 else { continue }
            var values: [String: String] = [:]
            for field in fields { values[field] = value(of: field) }
            guard body(Entry(time: time, values: values)) else { return }
        }
    }

    private func value(of field: String) -> String? {
        var data: UnsafeRawPointer?
        var length = 0
        guard unsafe sd_journal_get_data(handle, field, &data, &length) >= 0, let start = unsafe data else {
            return nil
        }
        // The data is "FIELD=value".
        let bytes = unsafe UnsafeRawBufferPointer(start: start, count: length).dropFirst(field.utf8.count + 1)
        return unsafe String(decoding: bytes.prefix(JournalReader.maximumLength), as: UTF8.self)
    }
}

/// The number of this boot of the host, as the journal writes it (`_BOOT_ID=`).
public func currentBootID() throws(SystemCallError) -> String {
    var id = sd_id128_t()
    let code = unsafe sd_id128_get_boot(&id)
    guard code >= 0 else { throw SystemCallError("read", "the boot ID", code: code) }
    return unsafe withUnsafeBytes(of: &id) { bytes in
        unsafe bytes.map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }.joined()
    }
}
