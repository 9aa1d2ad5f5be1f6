public import Devices
public import Platform

/// The settings of /etc/vmdev/vmdev.conf and its drop-ins.
public struct Settings: Sendable {
    /// Which hypervisor runs the VMs.
    public enum Hypervisor: String, CaseIterable, Sendable {
        /// Whichever is found on this host.
        case auto
        /// QEMU, by its monitor.
        case qemu
        /// libvirt.
        case libvirt
        /// Qubes OS, by its qubesd.
        case qubes
    }

    /// `[Host] Hypervisor=`.
    public internal(set) var hypervisor = Hypervisor.auto
    /// `[Host] VMUnit=`: the name of the unit that starts a VM; by default one of the units that come with us.
    public var vmUnit: VMNamePattern {
        if let chosenUnit { return chosenUnit }
        return switch hypervisor {
        case .libvirt: Settings.libvirtUnit
        case .qubes: Settings.qubesUnit
        case .auto, .qemu: Settings.standardUnit
        }
    }
    /// The value of `VMUnit=`, if there is one.
    var chosenUnit: VMNamePattern?
    /// `[Host] DeviceTimeoutSec=`: how long a start waits for a device that is late; nil when it depends on whether the host
    /// itself is still booting.
    public internal(set) var deviceTimeout: Duration?
    /// `[Host] StartSourceVM=`: whether the VMs that expose a VM's devices are started before it (Qubes OS).
    public internal(set) var startsSourceVMs = false
    /// `[QEMU] QMPTimeoutSec=`: how long to wait for the monitor of a VM; more than 0.
    public internal(set) var qmpTimeout = Settings.standardTimeout
    /// `[Libvirt] URI=`: whose libvirt it is, "qemu:///system" or "qemu:///session".
    public internal(set) var libvirtURI = Settings.standardURI
    /// `[Libvirt] TimeoutSec=`: how long libvirt may take for each answer; more than 0.
    public internal(set) var libvirtTimeout = Settings.standardLibvirtTimeout
    /// `[Qubes] TimeoutSec=`: how long qubesd may take for each answer; more than 0.
    public internal(set) var qubesTimeout = Settings.standardQubesTimeout
    /// What was not understood and passed over: unknown sections and keys.
    public private(set) var warnings: [SettingsProblem] = []

    /// `[QEMU] QMPSocket=`: the path of a VM's QMP socket, below the root.
    public internal(set) var qmpSocket = Settings.standardSocket

    /// `[Source NAME] Address=`: the VMs that expose devices, in the order of the files.
    public internal(set) var sources: [Source] = []

    /// All settings, by their sections.
    static let rules = ["Host": hostRules, "QEMU": qemuRules, "Libvirt": libvirtRules, "Qubes": qubesRules]

    /// The defaults.
    public init() {}

    /// Says which hypervisor it is, where the settings leave that open.
    public mutating func settle(_ found: Hypervisor) { if hypervisor == .auto { hypervisor = found } }

    /// Reads vmdev.conf and then, in byte order of their names, the files vmdev.conf.d/*.conf; a later value wins, and an
    /// empty one is the default. Files that are not there are not missed.
    public init(root: Root) throws(SettingsError) {
        var problems: [SettingsProblem] = []
        for path in try Settings.files(below: root) {
            guard let bytes = try Settings.contents(of: path) else { continue }
            let file = ConfigurationFile(bytes, path: path)
            var found = file.problems
            let known = warnings.count
            for section in file.sections where Settings.rules(of: section.name) == nil {
                if case .failure(let error)? = Settings.source(of: section.name) {
                    found.append(SettingsProblem(file: path, line: section.line, "[\(section.name)]: \(error)"))
                    continue
                }
                warn(path, section.line, "unknown section [\(printable(section.name, limit: 80))], ignored")
            }
            for entry in file.entries {
                if let message = apply(entry, of: path) {
                    found.append(SettingsProblem(file: path, line: entry.line, message))
                }
            }
            problems += found.sorted { $0.line < $1.line }
            warnings = warnings.prefix(known) + warnings.dropFirst(known).sorted { $0.line < $1.line }
        }
        guard problems.isEmpty else { throw .invalid(problems) }
    }

    /// Takes one setting over; answers what is wrong with its value.
    private mutating func apply(_ entry: ConfigurationFile.Entry, of path: String) -> String? {
        if entry.section.isEmpty {
            warn(path, entry.line, "'\(printable(entry.key, limit: 80))' stands before any section, and is ignored")
            return nil
        }
        guard let rules = Settings.rules(of: entry.section) else { return nil }  // Its section has been warned of.
        guard let rule = rules.first(where: { $0.key == entry.key }) else {
            warn(
                path, entry.line,
                "unknown setting '\(printable(entry.key, limit: 80))' in [\(entry.section)], ignored")
            return nil
        }
        return rule.take(&self, entry.value) ? nil : fault(entry, expected: rule.expectation)
    }

    private mutating func warn(_ path: String, _ line: Int, _ message: String) {
        warnings.append(SettingsProblem(file: path, line: line, message))
    }

    private func fault(_ entry: ConfigurationFile.Entry, expected: String) -> String {
        // A comment after a value is part of the value, as it is to systemd.
        let hint = entry.value.contains("#") ? " (a comment has a line of its own)" : ""
        return "'\(printable(entry.value, limit: 80))' is not a valid \(entry.key): expected \(expected)\(hint)"
    }

    private static func files(below root: Root) throws(SettingsError) -> [String] {
        let folder = root.path("/etc/vmdev/vmdev.conf.d")
        var dropIns: [String] = []
        do {
            dropIns = try names(in: folder).filter { $0.hasSuffix(".conf") && !$0.hasPrefix(".") }
        } catch {
            guard error.isNotThere else { throw .unreadable(path: folder, reason: error.reason) }
        }
        return [root.path("/etc/vmdev/vmdev.conf")] + dropIns.map { "\(folder)/\($0)" }
    }

    private static func contents(of path: String) throws(SettingsError) -> [UInt8]? {
        do {
            return try Platform.contents(of: path)
        } catch {
            guard error.isNotThere else { throw .unreadable(path: path, reason: error.reason) }
            return nil
        }
    }
}
