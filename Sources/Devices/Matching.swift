/// What a reference means among the devices that its source exposes now.
public enum Match: Hashable, Sendable {
    /// This device; `movedFrom` when it was followed from the port that the reference names.
    case found(Device, movedFrom: Port?)
    /// Nothing is in the port, and nothing has the identity.
    case absent
    /// The device is there, but in another port, and is not to be followed.
    case moved(to: Device)
    /// Another device is in the port.
    case replaced(by: Device)
    /// Several devices have the identity.
    case ambiguous([Device])
}

extension DeviceReference {
    /// Finds the device that is meant; a different device in the port is never taken in its place.
    public func match(among devices: some Sequence<Device>, follow: Bool = true) -> Match {
        let candidates = devices.filter { $0.deviceClass == deviceClass && $0.source == source }
        return match(
            inPort: port.flatMap { port in candidates.first { $0.isIn(port) } },
            identified: identity.map { identity in candidates.filter { $0.identities.contains(identity) } } ?? [],
            follow: follow)
    }

    /// The same where it is known already which device is in the port, and which have the identity.
    fileprivate func match(inPort: Device?, identified: [Device], follow: Bool) -> Match {
        guard let identity else { return inPort.map { .found($0, movedFrom: nil) } ?? .absent }

        if let inPort, inPort.identities.contains(identity) { return .found(inPort, movedFrom: nil) }
        // `mic` is another port of the host's first capture device: of two ports of one device the longer name is meant.
        let named = identified.sorted { $0.port < $1.port }
            .reduce(into: [Device]()) { kept, next in
                if kept.last?.canonical.key == next.canonical.key { kept.removeLast() }
                kept.append(next)
            }
        if named.count > 1 { return .ambiguous(named) }
        if let device = named.first {
            guard let port else { return .found(device, movedFrom: nil) }
            return follow ? .found(device, movedFrom: port) : .moved(to: device)
        }
        return inPort.map { .replaced(by: $0) } ?? .absent
    }
}

/// Devices by what references say, for many references: each of ten thousand is found at once.
public struct DeviceIndex: Sendable {
    private var inPort: [DeviceReference: Device] = [:]
    private var identified: [DeviceReference: [Device]] = [:]

    /// An index of these devices.
    public init(_ devices: [Device]) {
        for device in devices {
            for port in [device.port] + device.otherPorts {
                let name = DeviceReference(device.deviceClass, source: device.source, port: port)
                if inPort[name] == nil { inPort[name] = device }
            }
            for identity in Set(device.identities) {
                let name = DeviceReference(device.deviceClass, source: device.source, identity: identity)
                identified[name, default: []].append(device)
            }
        }
    }

    /// The device that is meant, as `DeviceReference.match(among:follow:)` finds it.
    public func match(_ reference: DeviceReference, follow: Bool = true) -> Match {
        let (deviceClass, source) = (reference.deviceClass, reference.source)
        return reference.match(
            inPort: reference.port.flatMap { inPort[DeviceReference(deviceClass, source: source, port: $0)] },
            identified: reference.identity.flatMap {
                identified[DeviceReference(deviceClass, source: source, identity: $0)]
            } ?? [],
            follow: follow)
    }
}

/// The most specific of several references to one device, in Qubes's order; the earlier of two that are alike.
public func mostSpecific(_ assignments: [Assignment]) -> Assignment? {
    assignments.reduce(nil) { best, next in
        guard let best else { return next }
        return next.device.specificity > best.device.specificity ? next : best
    }
}
