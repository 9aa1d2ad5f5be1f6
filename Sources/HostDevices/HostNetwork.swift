internal import Platform

/// Through which network interfaces this host reaches its default gateways, read at one moment.
struct HostNetwork {
    /// Their names: those that the routes name, and those that these are made from (a bridge's ports, a bond's slaves,
    /// what a VLAN is on).
    let gatewayInterfaces: Set<String>

    /// The deepest stack that is followed; real ones have three layers.
    private static let maximumDepth = 8

    /// Reads the kernel's routes; a host without IPv6 has no table of it.
    init(root: Root) {
        self.init(ipv4: HostNetwork.table("route"), ipv6: HostNetwork.table("ipv6_route"), root: root)
    }

    /// The table of the first process's network namespace: the unit that runs us may have one of its own, without routes.
    private static func table(_ name: String) -> [UInt8] {
        for process in ["1", "self"] {
            if let table = try? contents(of: "/proc/\(process)/net/\(name)", limit: 1 << 24) { return table }
        }
        return []
    }

    /// Takes tables that were read.
    init(ipv4: [UInt8], ipv6: [UInt8], root: Root) {
        var found: Set<String> = []
        for name in defaultInterfaces(ipv4: ipv4) + defaultInterfaces(ipv6: ipv6) {
            HostNetwork.collect(name, depth: 0, into: &found, root)
        }
        gatewayInterfaces = found
    }

    private static func collect(_ name: String, depth: Int, into found: inout Set<String>, _ root: Root) {
        guard depth < maximumDepth, !name.contains("/"), found.insert(name).inserted else { return }
        let prefix = "lower_"
        for entry in (try? names(in: root.path("/sys/class/net/\(name)"))) ?? [] where entry.hasPrefix(prefix) {
            collect(String(entry.dropFirst(prefix.utf8.count)), depth: depth + 1, into: &found, root)
        }
    }
}

/// RTF_REJECT of linux/route.h: a route that only says that there is none.
private let rejectFlag: UInt32 = 0x200

/// The interfaces of the default routes in /proc/net/route, whose fields are: interface, destination, gateway, flags,
/// three counters, mask.
private func defaultInterfaces(ipv4 table: [UInt8]) -> [String] {
    rows(of: table).dropFirst().compactMap { fields in
        isZero(fields.element(1)) && isZero(fields.element(7)) && isUsable(flags: fields.element(3))
            ? fields.element(0) : nil
    }
}

/// The same of /proc/net/ipv6_route: destination, its length, source, its length, next hop, three counters, flags,
/// interface.
private func defaultInterfaces(ipv6 table: [UInt8]) -> [String] {
    rows(of: table).compactMap { fields in
        isZero(fields.element(0)) && isZero(fields.element(1)) && isUsable(flags: fields.element(8))
            ? fields.element(9) : nil
    }
}

private func rows(of table: [UInt8]) -> [[String]] {
    table.split(separator: UInt8(ascii: "\n")).map { line in
        line.split { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }.map {
            String(decoding: $0, as: UTF8.self)
        }
    }
}

private func isZero(_ field: String?) -> Bool { field?.utf8.allSatisfy { $0 == UInt8(ascii: "0") } ?? false }

private func isUsable(flags: String?) -> Bool {
    flags.flatMap { UInt32($0, radix: 16) }.map { $0 & rejectFlag == 0 } ?? false
}
