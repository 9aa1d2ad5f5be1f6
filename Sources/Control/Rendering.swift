internal import Applying
internal import Devices
internal import FoundationEssentials

/// In which form a command answers.
public enum OutputForm: String, CaseIterable, Sendable {
    /// JSON, indented.
    case pretty
    /// JSON on one line.
    case short
    /// Text for people.
    case off
}

/// What a list shows.
public struct ListStyle: Sendable {
    /// Text or JSON.
    public var form: OutputForm
    /// Whether the columns have a heading.
    public var hasLegend: Bool
    /// Whether stored assignments are shown too.
    public var withAssignments: Bool
    /// Whether identities are shown too.
    public var withIdentities: Bool

    /// Joins them.
    public init(form: OutputForm, hasLegend: Bool, withAssignments: Bool, withIdentities: Bool) {
        self.form = form
        self.hasLegend = hasLegend
        self.withAssignments = withAssignments
        self.withIdentities = withIdentities
    }
}

/// The list of devices in the form that is asked for.
public func render(_ rows: [Survey.Row], _ style: ListStyle) -> String {
    if style.form != .off { return json(rows.map(DeviceJSON.init), style.form) }
    let columns = ["BACKEND:DEVID", "DESCRIPTION"] + (style.withIdentities ? ["IDENTITY"] : []) + ["USED BY"]
    var table = TextTable(heading: style.hasLegend ? columns : nil)
    for row in rows {
        table.append(
            [row.name, row.summary] + (style.withIdentities ? [row.identity?.description ?? "-"] : [])
                + [row.users(withAssignments: style.withAssignments).joined(separator: ", ")])
    }
    return table.text
}

/// All that is known of some devices, a line a fact.
public func renderDetails(_ rows: [Survey.Row], _ form: OutputForm) -> String {
    if form != .off { return json(rows.map(DeviceJSON.init), form) }
    return rows.map { row in
        var table = TextTable(heading: nil)
        for (label, value) in facts(row) { table.append(["\(label):", value]) }
        return table.text
    }.joined(separator: "\n")
}

private func facts(_ row: Survey.Row) -> [(String, String)] {
    var facts = [("device", row.name), ("description", row.summary)]
    for identity in row.device?.identities ?? row.identity.map({ [$0] }) ?? [] {
        facts.append(("identity", identity.description))
    }
    if let block = row.device?.block {
        facts.append(("node", block.node))
        facts.append(("serial in the guest", block.serial))
        facts.append(("size", "\(block.size) bytes"))
        facts.append(("read-only", block.isReadOnly ? "yes" : "no"))
        if let parent = block.parent { facts.append(("part of", parent.description)) }
    }
    for use in row.device?.uses ?? [] { facts.append(("used by the host", use.description)) }
    for record in row.attachments {
        facts.append(("attached to", record.vm.description + suffix(record.options)))
    }
    for assignment in row.assignments {
        facts.append(("assigned to", "\(assignment.target) (\(assignment.mode))\(suffix(assignment.options))"))
    }
    return facts
}

private func suffix(_ options: DeviceOptions) -> String {
    options.entries.isEmpty ? "" : ", \(options.summary)"
}

/// What JSON says of a row; names as in the table and in `vmdevctl --help`.
private struct DeviceJSON: Encodable {
    let device: String
    let deviceClass: String
    let description: String
    let present: Bool
    let identities: [String]
    let size: UInt64?
    let readOnly: Bool?
    let serial: String?
    let hostUses: [String]
    let attached: [User]
    let assigned: [User]

    struct User: Encodable {
        let vm: String
        let device: String
        let mode: String?
        let options: [String: String]
    }

    enum CodingKeys: String, CodingKey {
        case device, description, present, identities, size, serial, attached, assigned
        case deviceClass = "class"
        case readOnly = "read_only"
        case hostUses = "host_uses"
    }

    init(_ row: Survey.Row) {
        device = row.name
        deviceClass =
            (row.device?.deviceClass ?? row.attachments.first?.device.deviceClass
            ?? row.assignments.first?.device.deviceClass)?.rawValue ?? ""
        description = row.summary
        present = row.device != nil
        identities = (row.device?.identities ?? row.identity.map { [$0] } ?? []).map(\.description)
        size = row.device?.block?.size
        readOnly = row.device?.block?.isReadOnly
        serial = row.device?.block?.serial
        hostUses = row.device?.uses.map(\.description) ?? []
        attached = row.attachments.map {
            User(vm: $0.vm.description, device: $0.device.description, mode: nil, options: $0.options.dictionary)
        }
        assigned = row.assignments.map {
            User(
                vm: $0.target.description, device: $0.device.description, mode: $0.mode.rawValue,
                options: $0.options.dictionary)
        }
    }
}

extension DeviceOptions {
    fileprivate var dictionary: [String: String] {
        Dictionary(entries.map { ($0.key, $0.value) }, uniquingKeysWith: { first, _ in first })
    }
}

func json(_ value: some Encodable, _ form: OutputForm) -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting =
        form == .pretty
        ? [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes] : [.sortedKeys, .withoutEscapingSlashes]
    guard let data = try? encoder.encode(value) else { return "null\n" }
    return String(decoding: data, as: UTF8.self) + "\n"
}
