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
        let inPort = port.flatMap { port in candidates.first { $0.isIn(port) } }
        guard let identity else { return inPort.map { .found($0, movedFrom: nil) } ?? .absent }

        if let inPort, inPort.identities.contains(identity) { return .found(inPort, movedFrom: nil) }
        // `mic` is another port of the host's first capture device: of two ports of one device the longer name is meant.
        let named = candidates.filter { $0.identities.contains(identity) }.sorted { $0.port < $1.port }
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

/// The most specific of several references to one device, in Qubes's order; the earlier of two that are alike.
public func mostSpecific(_ assignments: [Assignment]) -> Assignment? {
    assignments.reduce(nil) { best, next in
        guard let best else { return next }
        return next.device.specificity > best.device.specificity ? next : best
    }
}
