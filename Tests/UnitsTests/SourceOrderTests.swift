import Devices
import Testing
import Units

@Suite("Which VM comes up before which")
struct SourceOrderTests {
    private func order(_ rows: [String]) throws -> SourceOrder {
        SourceOrder(
            try rows.map { row in
                let fields = row.split(separator: " ")
                return try Assignment(
                    target: VMName(fields[0]), device: DeviceReference(parsing: "\(fields[1]):sda", of: .block),
                    mode: fields.count == 2 ? .required : .autoAttach, options: .none)
            })
    }

    @Test(
        "A VM comes after the VMs that expose its devices, and needs those of which all devices are required",
        arguments: [
            (["work dom0"], []), (["work usb"], ["work>usb!"]), (["work usb auto"], ["work>usb"]),
            (["work usb", "work usb auto"], ["work>usb"]),
            (["work usb", "work net auto", "media usb"], ["media>usb!", "work>net", "work>usb!"]),
            (["work usb", "usb pci", "pci dom0"], ["usb>pci!", "work>usb!"]),
        ])
    func edges(rows: [String], expected: [String]) throws {
        let order = try order(rows)
        #expect(order.edges.map { "\($0.target)>\($0.source)\($0.isRequired ? "!" : "")" } == expected)
        #expect(order.cycles.isEmpty)
    }

    @Test(
        "VMs that need each other are told once, and no VM waits for itself",
        arguments: [
            (["a b", "b a"], ["a b a"], ["a>b"]),
            (["a b", "b c", "c a", "d a"], ["a b c a"], ["a>b", "b>c", "d>a"]),
            (["a b", "b c", "c b", "a c"], ["b c b"], ["a>b", "a>c", "b>c"]),
        ])
    func cycles(rows: [String], cycles: [String], edges: [String]) throws {
        let order = try order(rows)
        #expect(order.cycles.map { $0.map(\.description).joined(separator: " ") } == cycles)
        #expect(order.edges.map { "\($0.target)>\($0.source)" } == edges)
    }

    @Test("A chain of 20,000 VMs is followed")
    func long() throws {
        let order = try order((0..<20_000).map { "v\($0) v\($0 + 1)" })
        #expect(order.edges.count == 20_000)
        #expect(order.cycles.isEmpty)
    }
}
