public import Devices

/// A row of Available: a device that a VM exposes.
public struct QubesDevice: Hashable, Sendable {
    /// The device.
    public let device: Device
    /// Which VM has it, where qubesd says so.
    public let attachedTo: VMName?

    /// Reads a row of a source VM. What it says of the device was said by the source VM, or by the device itself.
    public init(_ row: QubesRow, of deviceClass: DeviceClass, source: VMName) throws(SyntaxError) {
        let fault = { (expected: String) in
            SyntaxError("\(deviceClass) row of qubesd", row.text, expected: expected)
        }
        let colon = row.head.firstIndex(of: ":")
        let port = try Port(row.head[..<(colon ?? row.head.endIndex)], of: deviceClass)
        let identityText = colon.map { String(row.head[row.head.index(after: $0)...]) }
        for (key, value) in [("backend_domain", source.description), ("devclass", deviceClass.rawValue)] {
            if let said = row[key], said != value { throw fault("\(key)='\(value)'") }
        }
        if let said = row["port_id"], try Port(said, of: deviceClass) != port { throw fault("port_id='\(port)'") }
        if let identityText, let said = row["device_id"], said != identityText {
            throw fault("device_id='\(identityText)'")
        }
        let identity = row["device_id"] ?? identityText
        device = Device(
            deviceClass, source: source, port: port,
            identities: try identity.map { text throws(SyntaxError) in [try DeviceIdentity(text)] } ?? [],
            title: QubesDevice.title(row, deviceClass),
            canonical: CanonicalDevice(
                key: QubesDevice.key(source, deviceClass, port), beneath: QubesDevice.parent(row, source)),
            details: .exposed(
                Device.Exposed(
                    isReadOnly: row["mode"].map { $0 == "r" }, address: QubesDevice.address(row, deviceClass))))
        attachedTo = row["attachment"].flatMap { try? VMName($0) }
    }

    /// The name of a device for exclusion.
    public static func key(_ source: VMName, _ deviceClass: DeviceClass, _ port: Port) -> String {
        "qubes-\(source)-\(deviceClass)-\(port)"
    }

    /// What a path of bridges comes to now.
    private static func address(_ row: QubesRow, _ deviceClass: DeviceClass) -> String? {
        guard deviceClass == .pci, let said = row["_sbdf"], (try? Port(said, of: .pci)) != nil else { return nil }
        return said
    }

    private static func parent(_ row: QubesRow, _ source: VMName) -> [String] {
        guard let parentClass = row["parent_devclass"].flatMap({ DeviceClass(rawValue: $0) }),
            let port = (row["parent_port_id"] ?? row["parent_ident"]).flatMap({ try? Port($0, of: parentClass) })
        else { return [] }
        return [key(source, parentClass, port)]
    }

    /// "Stick (DATA)", "Yubico YubiKey".
    private static func title(_ row: QubesRow, _ deviceClass: DeviceClass) -> String {
        func known(_ key: String) -> String? {
            row[key].flatMap { ["", "unknown", "None"].contains($0) ? nil : $0 }
        }
        if let description = known("description") { return description }
        if deviceClass == .block {
            let (model, label) = (known("serial"), known("name"))
            return [model, label.map { model == nil ? $0 : "(\($0))" }].compactMap(\.self).joined(separator: " ")
        }
        return [known("vendor") ?? known("manufacturer"), known("product") ?? known("name")].compactMap(\.self)
            .joined(separator: " ")
    }
}
