internal import Assignments
internal import Devices
public import Platform
internal import Settings

/// Hooks the units of VMs that have assignments, as systemd.generator(7) does: it writes drop-ins, and nothing else.
public struct Generator: Sendable {
    private let root: Root

    /// Works on the host under `root`.
    public init(root: Root) { self.root = root }

    /// Writes a drop-in for each VM that has a row into `folder`; what is wrong is told to `complain`, a line each, and
    /// never keeps the host from booting: a VM whose rows are wrong is hooked all the same, and fails by itself.
    public func run(into folder: String, complain: (String) -> Void) {
        var settings = Settings()
        do { settings = try Settings(root: root) } catch { complain("\(error); the defaults are used") }
        // At boot there is no qubesd yet; what it keeps is there.
        if (try? FileStatus.ofEntry(root.path("/var/lib/qubes/qubes.xml"))) != nil { settings.settle(.qubes) }
        let isQubes = settings.hypervisor == .qubes
        let table = isQubes ? AssignmentCopy(root: root).table : AssignmentTable(root: root)
        var targets: Set<VMName> = []
        var assignments: [Assignment] = []
        do {
            let reading = try table.allAssignments()
            assignments = reading.assignments
            targets = Set(assignments.map(\.target))
            for problem in reading.problems {
                complain("\(problem)")
                if let target = problem.target.flatMap({ try? VMName($0) }), !target.isHost {
                    targets.insert(target)
                }
            }
        } catch {
            complain("\(error); no unit is hooked")
            return
        }

        do { try mark(PlugMarkers(isQubes ? [] : assignments), into: "\(folder)/\(PlugMarkers.folder)") } catch {
            complain("devices that are plugged in are all looked at: \(error)")
        }

        let order = SourceOrder(assignments)
        for cycle in order.cycles {
            complain(
                """
                these VMs need each other's devices and cannot be ordered: \
                \(cycle.map(\.description).joined(separator: " needs "))
                """)
        }
        var waits: [VMName: Duration] = [:]
        for assignment in assignments {
            guard let wait = assignment.options.timeout ?? settings.deviceTimeout else { continue }
            waits[assignment.target] = max(wait, waits[assignment.target] ?? .zero)
        }
        for source in Set(order.edges.map(\.source)).sorted() {
            do { try hook(source, settings, into: folder, from: table.path) } catch {
                complain("\(settings.vmUnit.text(for: source)) is not hooked as a source: \(error)")
            }
        }
        let needs = Dictionary(grouping: order.edges, by: \.target)
        for target in targets.sorted() {
            let edges = needs[target] ?? []
            let unit = settings.vmUnit.text(for: target)
            let dropIn = DropIn(
                vm: target, after: edges.map { settings.vmUnit.text(for: $0.source) }, wait: waits[target],
                sourcePath: table.path, isStartedWhole: isQubes)
            do {
                try write(dropIn.text, as: dropIn.fileName, into: "\(folder)/\(unit).d")
                if let text = dropIn.needsText {
                    try write(text, as: DropIn.needsFileName, into: "\(folder)/\(unit).d")
                }
                if let text = dropIn.oneshotText {
                    try write(text, as: DropIn.needsFileName, into: "\(folder)/vmdev@\(target).service.d")
                }
            } catch {
                complain("\(unit) is not hooked: \(error)")
            }
        }
    }

    /// A source that nobody has named in vmdev.conf exposes nothing here.
    private func hook(_ source: VMName, _ settings: Settings, into folder: String, from path: String)
        throws(SystemCallError)
    {
        guard settings.sources.contains(where: { $0.name == source }) else { return }
        try write(
            DropIn.sourceText(of: source, sourcePath: path), as: DropIn.sourceFileName,
            into: "\(folder)/\(settings.vmUnit.text(for: source)).d")
    }

    private func mark(_ markers: PlugMarkers, into folder: String) throws(SystemCallError) {
        try makeFolders(folder)
        for name in markers.names + [PlugMarkers.complete] {
            _ = try Descriptor.open("\(folder)/\(name)", [.write, .create, .noFollow], mode: 0o644)
        }
    }

    private func write(_ text: String, as name: String, into folder: String) throws(SystemCallError) {
        try makeFolders(folder)
        let file = try Descriptor.open(
            "\(folder)/\(name)", [.write, .create, .exclusive, .noFollow], mode: 0o644)
        try file.write(Array(text.utf8))
    }
}
