public import Devices
public import Platform

/// The table on disk, /etc/vmdev/assignments below a root.
///
/// Editors take turns by a lock in /run/vmdev; readers need none, because a table is replaced in one step.
public struct AssignmentTable: AssignmentStore {
    /// The path of the table.
    public let path: String
    private let lockFolder: String
    private let lockTimeout: Duration

    /// How often a reading or an edit is begun anew when the table changes under it.
    private static let attempts = 3

    /// The table of `root`; an edit waits for another editor for `lockTimeout`.
    public init(root: Root, lockTimeout: Duration = .seconds(5)) {
        path = root.path("/etc/vmdev/assignments")
        lockFolder = root.path("/run/vmdev")
        self.lockTimeout = lockTimeout
    }

    /// A file in the form of the table, elsewhere.
    init(path: String, lockFolder: String) {
        self.path = path
        self.lockFolder = lockFolder
        lockTimeout = .seconds(5)
    }

    /// The assignments of one VM, read piece by piece; the rows of other VMs cost no memory.
    public func assignments(of vm: VMName) throws(TableError) -> TableReading {
        try read(RowMatcher(vm))
    }

    /// The assignments of all VMs, with every problem that there is.
    public func allAssignments() throws(TableError) -> TableReading { try read(nil) }

    /// Stores an assignment; the line of the same target and device is changed in place, comments and all other lines
    /// stay byte for byte, wrong ones too.
    public func add(_ assignment: Assignment) throws(TableError) -> AddOutcome {
        try edit { $0.adding(assignment) }
    }

    /// Removes the lines of the assignments that `isUnwanted` chooses; it can be asked again about the same one, when
    /// the table was changed by hand in between.
    public func remove(where isUnwanted: (Assignment) -> Bool) throws(TableError) -> [Assignment] {
        try edit { $0.removing(where: isUnwanted) }
    }

    /// The same among the assignments of one VM; the rows of other VMs are passed over, not read.
    public func remove(
        from vm: VMName, where isUnwanted: (Assignment) -> Bool
    ) throws(TableError) -> [Assignment] {
        try edit { $0.removing(from: vm, where: isUnwanted) }
    }

    private func read(_ matcher: RowMatcher?) throws(TableError) -> TableReading {
        for _ in 0..<AssignmentTable.attempts {
            guard let file = try TableFile.open(path) else { return TableReading() }
            var collector = RowCollector(file: path, matcher: matcher)
            try file.forEachLine { line, buffer in collector.take(line, in: buffer) }
            // Somebody who writes it in place may have been half done.
            if try file.isUnwritten() { return collector.reading }
        }
        throw changedMeanwhile("read")
    }

    private func edit<Outcome>(_ change: (TableText) -> TableText.Edit<Outcome>) throws(TableError) -> Outcome {
        let lock = try TableLock.take(lockFolder, until: Deadline(after: lockTimeout))
        defer { _ = lock }
        for _ in 0..<AssignmentTable.attempts {
            let place = try target()
            let file = try TableFile.open(place)
            let text = try file?.contents() ?? []
            let edit = change(TableText(text))
            guard let bytes = edit.bytes else { return edit.outcome }
            if try replace(place, with: bytes, ifStill: file?.status) { return edit.outcome }
        }
        throw changedMeanwhile("changed")
    }

    /// The file itself: a link to it stays.
    private func target() throws(TableError) -> String {
        do {
            return try FileStatus.ofEntry(path)?.kind == .link ? resolved(path) : path
        } catch {
            if error.isNotThere, try TableFile.open(path) == nil { return path }
            throw .unreadable(path, error)
        }
    }

    private func replace(
        _ place: String, with bytes: [UInt8], ifStill expected: FileStatus?
    ) throws(TableError) -> Bool {
        guard let slash = place.lastIndex(of: "/") else { return false }
        let name = String(place[place.index(after: slash)...])
        do {
            if expected == nil { try makeFolders(String(place[..<slash])) }
            let folder = try Descriptor.open(String(place[...slash]), .directory)
            var replacement = try AtomicReplacement.begin(
                of: name, in: folder, temporary: ".\(name).vmdev-new", like: expected)
            try replacement.write(bytes)
            return try replacement.commit(ifStill: expected)
        } catch {
            throw .unwritable(place, error)
        }
    }

    private func changedMeanwhile(_ action: String) -> TableError {
        TableError(
            .changedMeanwhile, path, "somebody else wrote it while it was being \(action), again and again",
            remedy: "try again when they have finished")
    }
}
