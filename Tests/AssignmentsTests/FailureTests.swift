import Devices
import Foundation
import Platform
import Testing

@testable import Assignments

@Suite struct FailureTests {
    private func expect(
        _ kind: TableError.Kind, at location: SourceLocation = #_sourceLocation, _ body: () throws -> Void
    ) throws {
        let found = try tableError(body)?.kind
        #expect(found == kind, sourceLocation: location)
    }

    @Test("Only a table that is not there is an empty one")
    func missing() throws {
        let host = try TestHost()
        #expect(try host.table.allAssignments() == TableReading())
        try FileManager.default.createDirectory(atPath: host.path("/etc/vmdev"), withIntermediateDirectories: true)
        #expect(try host.table.assignments(of: .work) == TableReading())
    }

    @Test("A table that cannot be read is an error for reading and editing alike, and is left alone")
    func unreadable() throws {
        let cases: [(TableError.Kind, (String) throws -> Void)] = [
            (
                .malformed,
                { try FileManager.default.createDirectory(atPath: $0, withIntermediateDirectories: false) }
            ),
            (.malformed, { #expect(mkfifo($0, 0o600) == 0) }),
            (
                .malformed,
                { try FileManager.default.createSymbolicLink(atPath: $0, withDestinationPath: "/dev/null") }
            ),
            (
                .unreadable,
                { try FileManager.default.createSymbolicLink(atPath: $0, withDestinationPath: "/nowhere/x") }
            ),
            (
                .unreadable,
                { try FileManager.default.createSymbolicLink(atPath: $0, withDestinationPath: "assignments") }
            ),
            (
                .malformed,
                { path in
                    #expect(FileManager.default.createFile(atPath: path, contents: nil))
                    #expect(truncate(path, off_t(TableFile.maximumSize) + 1) == 0)
                }
            ),
        ]
        for (expected, make) in cases {
            let host = try TestHost("")
            try FileManager.default.removeItem(atPath: host.tablePath)
            try make(host.tablePath)
            let before = try FileStatus.ofEntry(host.tablePath)
            try expect(expected) { _ = try host.table.assignments(of: .work) }
            try expect(expected) { _ = try host.table.allAssignments() }
            try expect(expected) { _ = try host.table.add(row("work mic dom0:mic required")) }
            try expect(expected) { _ = try host.table.remove { _ in true } }
            #expect(try FileStatus.ofEntry(host.tablePath) == before)
            #expect(try host.entries == ["assignments"])
        }
    }

    @Test("A folder of the table that is a link to nowhere, or no folder, is not an empty table")
    func folder() throws {
        for isLink in [true, false] {
            let host = try TestHost()
            try FileManager.default.createDirectory(atPath: host.path("/etc"), withIntermediateDirectories: true)
            if isLink {
                try FileManager.default.createSymbolicLink(
                    atPath: host.path("/etc/vmdev"), withDestinationPath: "/nowhere/vmdev")
            } else {
                #expect(FileManager.default.createFile(atPath: host.path("/etc/vmdev"), contents: nil))
            }
            try expect(.unreadable) { _ = try host.table.allAssignments() }
            try expect(.unreadable) { _ = try host.table.add(row("work mic dom0:mic required")) }
        }
    }

    @Test("Who may not is told so, and the table stays as it was", .enabled(if: getuid() == 0, "needs root"))
    func forbidden() throws {
        let host = try TestHost("# x\n")
        try #require(chmod(host.root.prefix, 0o755) == 0 && chmod(host.tablePath, 0o600) == 0)
        try FileManager.default.createDirectory(atPath: host.path("/run"), withIntermediateDirectories: false)
        try asNobody {
            try expect(.forbidden) { _ = try host.table.assignments(of: .work) }
            try expect(.forbidden) { _ = try host.table.add(row("work mic dom0:mic required")) }
        }
        #expect(try host.text == "# x\n")
    }

    @Test(
        "Who may write the folder but not give the table its owner back does not take it over",
        .enabled(if: getuid() == 0, "needs root"))
    func foreignOwner() throws {
        let host = try TestHost("# x\n")
        try #require(chmod(host.root.prefix, 0o777) == 0 && chmod(host.path("/etc/vmdev"), 0o777) == 0)
        try asNobody {
            try expect(.forbidden) { _ = try host.table.add(row("work mic dom0:mic required")) }
        }
        #expect(try host.text == "# x\n")
        #expect(try host.entries == ["assignments"])
    }

    @Test("A full disk leaves the table as it was and nothing beside it", .enabled(if: canMount, "needs to mount"))
    func fullDisk() throws {
        let host = try TestHost("")
        try mounted(host.path("/etc/vmdev"), "size=8k,mode=755") {
            try host.write(Array("# x\n".utf8))
            try Data(count: 4096).write(to: URL(fileURLWithPath: host.path("/etc/vmdev/filler")))
            let error = try #require(try tableError { _ = try host.table.add(row("work mic dom0:mic required")) })
            #expect(error.kind == .unwritable)
            #expect(error.description.contains("No space left on device"))
            #expect(error.description.contains("make room"))
            #expect(try host.text == "# x\n")
            #expect(try host.entries == ["assignments", "filler"])
        }
    }

    @Test("A file system mounted read-only is told as such", .enabled(if: canMount, "needs to mount"))
    func readOnly() throws {
        let host = try TestHost("")
        try mounted(host.path("/etc/vmdev"), "mode=755") {
            try host.write(Array("work mic dom0:mic required\n".utf8))
            try #require(mount("tmpfs", host.path("/etc/vmdev"), "tmpfs", UInt(MS_REMOUNT | MS_RDONLY), nil) == 0)
            #expect(try host.table.assignments(of: .work).rows.count == 1)
            let error = try #require(try tableError { _ = try host.table.remove { _ in true } })
            #expect(error.kind == .unwritable)
            #expect(error.description.contains("Read-only file system"))
            #expect(error.description.contains("remount it"))
            #expect(try host.text == "work mic dom0:mic required\n")
        }
    }

    @Test("A name in the way of the new file is an error that names it")
    func folderInTheWay() throws {
        let host = try TestHost("# x\n")
        try FileManager.default.createDirectory(
            atPath: host.path("/etc/vmdev/.assignments.vmdev-new"), withIntermediateDirectories: false)
        let error = try #require(try tableError { _ = try host.table.add(row("work mic dom0:mic required")) })
        #expect(error.kind == .unwritable)
        #expect(error.description.contains(".assignments.vmdev-new"))
        #expect(try host.text == "# x\n")
    }
}

/// Whether file systems can be mounted here: root, with the right to.
private let canMount: Bool = {
    var template = Array("/tmp/vmdev-mount.XXXXXX".utf8CString)
    guard let folder = mkdtemp(&template).map({ String(cString: $0) }) else { return false }
    defer { rmdir(folder) }
    guard mount("tmpfs", folder, "tmpfs", 0, "size=4k") == 0 else { return false }
    return umount2(folder, Int32(MNT_DETACH)) == 0
}()

private func mounted(_ folder: String, _ options: String, _ body: () throws -> Void) throws {
    try #require(mount("tmpfs", folder, "tmpfs", 0, options) == 0)
    defer { umount2(folder, Int32(MNT_DETACH)) }
    try body()
}
