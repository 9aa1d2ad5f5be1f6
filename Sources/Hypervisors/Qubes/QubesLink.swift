public import Devices

/// A row of Assigned or Attached: what is stored for a VM, or what it has now.
public struct QubesLink: Hashable, Sendable {
    /// The VM that was asked about.
    public let target: VMName
    /// The kind of the device.
    public let deviceClass: DeviceClass
    /// Who exposes it.
    public let source: VMName
    /// Its port; nil for any.
    public let port: Port?
    /// Which device; nil for any.
    public let identity: DeviceIdentity?
    /// qubesd's word for what happens at a start: `required`, `auto-attach`, `ask-to-attach`, `manual`.
    public let mode: String
    /// The options as qubesd has them, whether or not they are any.
    public let options: [QubesRow.Property]

    /// Reads a row of a VM.
    public init(_ row: QubesRow, of deviceClass: DeviceClass, target: VMName) throws(SyntaxError) {
        let fault = { (expected: String) in
            SyntaxError("\(deviceClass) row of qubesd", row.text, expected: expected)
        }
        guard let plus = row.head.firstIndex(of: "+") else { throw fault("BACKEND+PORT first") }
        let source = try VMName(row.head[..<plus])
        let place = row.head[row.head.index(after: plus)...]
        let colon = place.firstIndex(of: ":")
        let portText = String(place[..<(colon ?? place.endIndex)])
        let identityText = colon.map { String(place[place.index(after: $0)...]) }
        // What is said twice has to be said alike.
        for (key, value) in [
            ("backend_domain", source.description), ("port_id", portText), ("devclass", deviceClass.rawValue),
            ("frontend_domain", target.description),
        ] {
            if let said = row[key], said != value, !(key == "port_id" && portText == "_") {
                throw fault("\(key)='\(value)'")
            }
        }
        if let identityText, let said = row["device_id"], said != identityText {
            throw fault("device_id='\(identityText)'")
        }
        self.target = target
        self.deviceClass = deviceClass
        self.source = source
        port = portText == "*" || portText == "_" ? nil : try Port(portText, of: deviceClass)
        let identity = row["device_id"] ?? identityText ?? "*"
        self.identity = identity == "*" ? nil : try DeviceIdentity(identity)
        if row.properties.isEmpty || row["device_id"] == nil, row["mode"] == nil {
            // Before 4.3: every other key is an option, and what is stored is required.
            mode =
                row["persistent"].map { ["yes", "true", "True", "1"].contains($0) } == true ? "required" : "manual"
            options = row.properties.filter { $0.key != "persistent" }
        } else {
            mode = row["mode"] ?? "manual"
            options = row.options
        }
    }

    /// What it is about, as an assignment names it; nil when it is about any device at all.
    public var reference: DeviceReference? {
        if let port { return DeviceReference(deviceClass, source: source, port: port, identity: identity) }
        return identity.map { DeviceReference(deviceClass, source: source, identity: $0) }
    }

    /// The value of an option, if it has it.
    public subscript(option: String) -> String? { options.first { $0.key == option }?.value }
}
