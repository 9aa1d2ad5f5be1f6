import Devices
import Foundation
import Platform
import Testing

@testable import Assignments

/// A folder of its own with a table in it; it goes with the last reference.
final class TestHost: Sendable {
    let root: Root

    /// A host with this table, or without any.
    init(table: [UInt8]? = nil) throws {
        var template = Array("/tmp/vmdev-table.XXXXXX".utf8CString)
        root = Root(String(cString: try #require(mkdtemp(&template))))
        if let table {
            try FileManager.default.createDirectory(atPath: path("/etc/vmdev"), withIntermediateDirectories: true)
            try write(table)
        }
    }

    convenience init(_ table: String) throws { try self.init(table: Array(table.utf8)) }

    deinit { try? FileManager.default.removeItem(atPath: root.prefix) }

    var table: AssignmentTable { AssignmentTable(root: root) }
    var tablePath: String { table.path }

    func path(_ path: String) -> String { root.path(path) }

    /// What the table holds, byte for byte.
    var bytes: [UInt8] {
        get throws { Array(try Data(contentsOf: URL(fileURLWithPath: tablePath))) }
    }

    var text: String { get throws { String(decoding: try bytes, as: UTF8.self) } }

    /// Writes the table as an editor would that does not know of ours.
    func write(_ bytes: [UInt8]) throws {
        try Data(bytes).write(to: URL(fileURLWithPath: tablePath))
    }

    func append(_ text: String) throws {
        let file = try #require(FileHandle(forWritingAtPath: tablePath))
        try file.seekToEnd()
        try file.write(contentsOf: Data(text.utf8))
        try file.close()
    }

    /// The names in the folder of the table.
    var entries: [String] {
        get throws { try FileManager.default.contentsOfDirectory(atPath: path("/etc/vmdev")).sorted() }
    }
}

/// An assignment as the table has it.
func row(_ text: String) throws -> Assignment {
    try RowFormat.parse(Array(text.utf8)[...]).assignment
}

extension VMName {
    static var work: VMName { get throws { try VMName("work") } }
    static var media: VMName { get throws { try VMName("media") } }
}

/// The error of the table that `body` ends with; nil when it succeeds.
func tableError(_ body: () throws -> Void) throws -> TableError? {
    do {
        try body()
        return nil
    } catch let error as TableError {
        return error
    }
}

/// Runs `body` as user `nobody` as far as files are concerned. This is of the thread alone, so other tests stay root.
func asNobody(_ body: () throws -> Void) throws {
    typealias Call = @convention(c) (UInt32) -> Int32
    let setfsuid = unsafeBitCast(try #require(dlsym(nil, "setfsuid")), to: Call.self)
    _ = setfsuid(65534)
    defer { _ = setfsuid(0) }
    try body()
}
