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
    /// Whether the full addresses of PCI devices are shown too.
    public var withAddresses: Bool

    /// Joins them.
    public init(
        form: OutputForm, hasLegend: Bool, withAssignments: Bool, withIdentities: Bool, withAddresses: Bool = false
    ) {
        self.form = form
        self.hasLegend = hasLegend
        self.withAssignments = withAssignments
        self.withIdentities = withIdentities
        self.withAddresses = withAddresses
    }
}

/// The list of devices in the form that is asked for; the text of an empty one is empty.
public func render(_ rows: [Survey.Row], _ style: ListStyle) -> String {
    if style.form != .off { return json(rows.map(DeviceJSON.init), style.form) }
    let columns =
        ["BACKEND:DEVID"] + (style.withAddresses ? ["SBDF"] : []) + ["DESCRIPTION"]
        + (style.withIdentities ? ["IDENTITY"] : []) + ["USED BY"]
    var table = TextTable(heading: style.hasLegend && !rows.isEmpty ? columns : nil)
    for row in rows {
        table.append(
            [row.name] + (style.withAddresses ? [row.device?.address ?? "-"] : []) + [row.summary]
                + (style.withIdentities ? [row.identity?.description ?? "-"] : [])
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

func json(_ value: some Encodable, _ form: OutputForm) -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting =
        form == .pretty
        ? [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes] : [.sortedKeys, .withoutEscapingSlashes]
    guard let data = try? encoder.encode(value) else { return "null\n" }
    return String(decoding: data, as: UTF8.self) + "\n"
}
