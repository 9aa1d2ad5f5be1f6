public import Devices

extension DeviceReference {
    /// The device in the argument of a call: `backend+port+identity`, a `*` for what is left open written `_`.
    public var adminArgument: String {
        "\(adminPortArgument)+\(identity.map { DeviceReference.escaped($0.description) } ?? "_")"
    }

    /// The same by the port alone.
    public var adminPortArgument: String { "\(source)+\(port?.description ?? "_")" }

    /// What comes in the payload of a call about a device.
    public func adminPayload(mode: String, options: DeviceOptions) -> String {
        QubesRow(
            "",
            [
                QubesRow.Property("device_id", identity?.description ?? "*"),
                QubesRow.Property("port_id", port?.description ?? "*"),
                QubesRow.Property("devclass", deviceClass.rawValue),
                QubesRow.Property("backend_domain", source.description),
                QubesRow.Property("mode", mode),
            ] + options.entries.map { QubesRow.Property("_\($0.key)", $0.value) }
        ).text
    }

    private static func escaped(_ identity: String) -> String {
        String(identity.map { $0 == ":" ? "+" : $0 == "*" || $0 == "?" ? "_" : $0 })
    }
}
