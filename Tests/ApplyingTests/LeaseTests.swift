import Applying
import Devices
import Foundation
import Hypervisors
import Platform
import TestSupport
import Testing

@Suite("Leases: devices of VMs that take no locks from us")
struct LeaseTests {
    let host: FakeHost
    let work: VMName
    let media: VMName

    init() throws {
        host = try FakeHost()
        work = try VMName("work")
        media = try VMName("media")
        host.source.set([
            try disk("sda"), try disk("sda1", on: ["sda"]), try disk("sda2", on: ["sda"]), try disk("sdb"),
        ])
    }

    @Test(
        "A device is refused alike whichever of two kinds of VM has it",
        arguments: [true, false],
        [("sda", "sda", true), ("sda", "sda1", true), ("sda1", "sda", true), ("sda1", "sda2", false)])
    func acrossKinds(isFirstLeased: Bool, ports: (String, String, Bool)) throws {
        let holder = try living()
        host.simulator.add(work, holder: isFirstLeased ? holder : nil)
        host.simulator.add(media, holder: isFirstLeased ? nil : holder)
        #expect(try host.apply("work", "work dom0:\(ports.0) required") == .success)
        #expect(try host.locks.live().map(\.vm) == [work])
        #expect(try host.apply("media", "media dom0:\(ports.1) required") == (ports.2 ? .taken : .success))
        if ports.2 {
            let text = try #require(host.reporter.texts(.failed).first)
            #expect(text.contains("taken by VM work"))
        }
    }

    @Test("A device is free when the process of its VM has ended, even if its number is another's now")
    func killed() throws {
        let holder = try living()
        host.simulator.add(work, holder: holder)
        #expect(try host.apply("work", "work dom0:sda required") == .success)
        try endProcess()
        host.simulator.crash(work)
        #expect(try host.locks.live().isEmpty)
        host.simulator.add(media, holder: holder)
        #expect(try host.apply("media", "media dom0:sda required") == .success)
        #expect(try host.locks.live().map(\.vm) == [media])
    }

    @Test("Detaching ends the lease, and so does an attachment that fails")
    func ended() throws {
        let holder = try living()
        host.simulator.add(work, state: .running, holder: holder)
        #expect(try host.apply("work", on: .byHand, "work dom0:sda required") == .success)
        let record = try #require(try host.locks.live().first)
        #expect(host.applier.detach(record) == nil)
        #expect(try host.locks.live().isEmpty)
        host.simulator.script(
            work, .refuses(AttachmentID(port: try Port("sdb", of: .block)), HypervisorError(.refused, "no")))
        #expect(try host.apply("work", on: .byHand, "work dom0:sdb required") == .refused)
        #expect(try host.locks.live().isEmpty)
    }

    @Test("Applying again finds what is leased to be there already")
    func again() throws {
        let holder = try living()
        host.simulator.add(work, holder: holder)
        #expect(try host.apply("work", "work dom0:sda required") == .success)
        #expect(try host.apply("work", on: .byHand, "work dom0:sda required") == .success)
        #expect(host.reporter.kinds == [.attached, .started, .alreadyAttached, .complete])
    }

    @Test("When the VM has gone its leases are removed; while its process lives they are not, and that is told")
    func release() throws {
        let holder = try living()
        host.simulator.add(work, holder: holder)
        #expect(try host.apply("work", "work dom0:sda required") == .success)
        #expect(host.applier.release(work) == .success)
        #expect(host.reporter.kinds.suffix(1) == [.stillHeld])
        #expect(try host.locks.live().count == 1)
        try endProcess()
        #expect(host.applier.release(work) == .success)
        #expect(host.reporter.kinds.suffix(1) == [.released])
        #expect(try FileManager.default.contentsOfDirectory(atPath: host.root.path("/run/vmdev/leases")) == [])
    }
}

/// A process stands for a VM's own that the test need not start: a child would hold copies of other tests' locks between
/// its fork and its exec.
private func living() throws -> LeaseHolder {
    LeaseHolder(
        domain: "9f6cfa33-95c1-4b0c-a7e8-1d5d37f0a6a3", process: try #require(ProcessIdentity(of: getpid())))
}

extension LeaseTests {
    /// Has the leases name an earlier process, whose number is another's now.
    private func endProcess() throws {
        let folder = host.root.path("/run/vmdev/leases")
        let now = try living().process
        let earlier = try #require(ProcessIdentity("\(now.pid) \(now.began - 1)"))
        for file in try FileManager.default.contentsOfDirectory(atPath: folder) {
            try String(contentsOfFile: "\(folder)/\(file)", encoding: .utf8)
                .replacingOccurrences(of: now.description, with: earlier.description)
                .write(toFile: "\(folder)/\(file)", atomically: true, encoding: .utf8)
        }
    }
}
