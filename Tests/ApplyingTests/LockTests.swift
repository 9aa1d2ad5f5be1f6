import Applying
import Devices
import Foundation
import Hypervisors
import TestSupport
import Testing

@Suite("Lock files")
struct LockTests {
    let host: FakeHost
    init() throws { host = try FakeHost() }

    private func record(_ vm: String, _ port: String, on beneath: [String] = []) throws -> LockRecord {
        let device = try disk(port, identity: "usb-A b:c", on: beneath)
        return LockRecord(
            vm: try VMName(vm), device: device.reference, id: AttachmentID(port: device.port),
            options: try DeviceOptions([("read-only", "yes"), ("devtype", "cdrom")], of: .block),
            canonical: device.canonical, sequence: 7)
    }

    @Test("The file says who holds it, with everything that was said when it was taken")
    func text() throws {
        let record = try record("work", "sda1", on: ["sda"])
        let held = try host.locks.take(record)
        #expect(held.map(\.name) == ["vmdev-sda1.lock.block-sda", "vmdev-sda1.lock.block-sda1"])
        #expect(Set(held.map(\.name)) == Set(HeldLock.names(of: record)))
        #expect(try host.locks.live() == [record])
        #expect(try host.locks.holders(of: record.canonical) == [record])
    }

    @Test("A lock that nobody holds any more says nothing")
    func stale() throws {
        let record = try record("work", "sda")
        do { _ = try host.locks.take(record) }
        #expect(try host.locks.live().isEmpty)
        #expect(try host.locks.holders(of: record.canonical).isEmpty)
        // What was in the file before is not taken for the holder of what is only shared now.
        let partition = try self.record("media", "sda1", on: ["sda"])
        let held = try host.locks.take(partition)
        #expect(try host.locks.live() == [partition])
        withExtendedLifetime(held) {}
    }

    @Test("Whoever comes second is told by whom it is taken, and holds nothing")
    func taken() throws {
        let first = try record("work", "sda")
        let held = try host.locks.take(first)
        #expect(throws: LockFolder.Failure.taken([first])) {
            try host.locks.take(try record("media", "sda1", on: ["sda"]))
        }
        #expect(try host.locks.live() == [first])
        withExtendedLifetime(held) {}
    }

    @Test("Only root gets at the locks")
    func permissions() throws {
        _ = try host.locks.take(try record("work", "sda"))
        let attributes = try FileManager.default.attributesOfItem(atPath: host.locks.path)
        #expect(attributes[.posixPermissions] as? Int == 0o700)
        let file = try FileManager.default.attributesOfItem(atPath: host.locks.path + "/block-sda")
        #expect(file[.posixPermissions] as? Int == 0o600)
    }

    @Test(
        "A damaged file in the folder is nobody's",
        arguments: ["", "vm=work", "garbage\n", "vm=../x\nclass=block\n"])
    func damaged(text: String) throws {
        let record = try record("work", "sda")
        let held = try host.locks.take(record)
        try text.write(toFile: host.locks.path + "/block-sda", atomically: false, encoding: .utf8)
        #expect(try host.locks.live().isEmpty)
        #expect(throws: LockFolder.Failure.taken([])) { try host.locks.take(try self.record("media", "sda")) }
        withExtendedLifetime(held) {}
    }
}
