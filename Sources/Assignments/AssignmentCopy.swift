public import Devices
public import Platform

/// A copy of assignments that somebody else keeps (qubesd), for who has to know them while nobody can be asked: at boot, before
/// any service runs. It has the form of the table, and survives a reboot.
public struct AssignmentCopy: Sendable {
    /// The copy, to be read.
    public let table: AssignmentTable
    private let folder: String

    /// The file's name.
    static let name = "qubes-assignments"

    /// The copy of `root`, /var/lib/vmdev/qubes-assignments.
    public init(root: Root) {
        folder = root.path("/var/lib/vmdev")
        table = AssignmentTable(path: "\(folder)/\(AssignmentCopy.name)", lockFolder: root.path("/run/vmdev"))
    }

    /// Puts these assignments in its place, unless they are what it has; answers whether it was written. What only asks the
    /// user orders nothing and is left out.
    @discardableResult
    public func replace(with assignments: [Assignment]) throws(SystemCallError) -> Bool {
        let head =
            "# A copy of what qubesd keeps, for vmdev-generator. Written by vmdev-apply and vmdevctl; edits are lost.\n"
        let lines = assignments.filter { AssignmentMode.allCases.contains($0.mode) }.sorted {
            ($0.target, $0.device.description) < ($1.target, $1.device.description)
        }.map { RowFormat.line(of: $0) + Array("\n".utf8) }
        let bytes = Array(head.utf8) + lines.flatMap { $0 }
        if let old = try? Descriptor.open(table.path, .noFollow).readAll(limit: bytes.count + 1), old == bytes {
            return false
        }
        try makeFolders(folder)
        let place = try Descriptor.open(folder, .directory)
        // Several may write at a time, each what it was told just now: who comes second in one moment leaves it at that.
        guard
            let lock = try LockFile.take(
                "\(folder)/.\(AssignmentCopy.name).lock", until: Deadline(after: .seconds(5)))
        else { return false }
        let status = try place.status(below: AssignmentCopy.name)
        var file = try AtomicReplacement.begin(
            of: AssignmentCopy.name, in: place, temporary: ".\(AssignmentCopy.name).new", like: nil)
        try file.write(bytes)
        let isWritten = try file.commit(ifStill: status)
        lock.release()
        return isWritten
    }
}
