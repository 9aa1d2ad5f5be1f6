import Foundation
import Testing

@Suite("One device, one running VM", needsWholeHost)
struct ExclusionTests {
    let host: ScratchHost
    init() throws { host = try ScratchHost() }

    @Test("A disk that another VM has is refused by that VM's name")
    func taken() throws {
        let disk = try LoopDisk()
        try host.assign("work block dom0:\(disk.port) required -", "media block dom0:\(disk.port) required -")
        let work = try VM("work", on: host)
        let media = try VM("media", on: host)
        #expect(try host.apply("work", "--boot").status == 0)
        let outcome = try host.apply("media", "--boot")
        #expect(outcome.status == 73, "\(outcome)")
        #expect(outcome.errors.contains("work"))
        #expect(try media.endedWithoutRunning())
        #expect(try work.monitor.status() == "running")
    }

    @Test("A disk and its partition are never in two VMs", arguments: [true, false])
    func partition(diskFirst: Bool) throws {
        let disk = try LoopDisk()
        let partition = try disk.addPartition()
        let (first, second) = diskFirst ? (disk.port, partition) : (partition, disk.port)
        try host.assign("work block dom0:\(first) required -", "media block dom0:\(second) required -")
        let work = try VM("work", on: host)
        let media = try VM("media", on: host)
        let allowed = try host.apply("work", "--boot")
        #expect(allowed.status == 0, "\(allowed)")
        let outcome = try host.apply("media", "--boot")
        #expect(outcome.status == 73, "\(outcome)")
        #expect(outcome.errors.contains("work"))
        #expect(try media.endedWithoutRunning())
        #expect(try work.monitor.status() == "running")
    }

    @Test("Two partitions of one disk may be in two VMs")
    func siblings() throws {
        let disk = try LoopDisk(megabytes: 16)
        let first = try disk.addPartition()
        try tool("addpart", disk.path, "2", "16384", "8192")
        try host.assign(
            "work block dom0:\(first) required -", "media block dom0:\(disk.port)p2 required -")
        let work = try VM("work", on: host)
        let media = try VM("media", on: host)
        let one = try host.apply("work", "--boot")
        let other = try host.apply("media", "--boot")
        #expect(one.status == 0, "\(one)")
        #expect(other.status == 0, "\(other)")
        #expect(try [work.monitor.status(), media.monitor.status()] == ["running", "running"])
    }

    @Test("Of two VMs that start at the same moment with one disk, exactly one gets it, 50 times of 50")
    func race() throws {
        let disk = try LoopDisk()
        try host.assign("work block dom0:\(disk.port) required -", "media block dom0:\(disk.port) required -")
        for round in 1...50 {
            let vms = try ["work", "media"].map { try VM($0, on: host) }
            // Who is started first changes from round to round.
            let order = round.isMultiple(of: 2) ? vms : vms.reversed()
            let applying = try order.map { (vm: $0, process: try host.startApplying($0.name, "--boot")) }
            let outcomes = try applying.map { (vm: $0.vm, outcome: try $0.process.finish()) }
            let won = outcomes.filter { $0.outcome.status == 0 }
            let lost = outcomes.filter { $0.outcome.status == 73 }
            try #require(won.count == 1 && lost.count == 1, "round \(round): \(outcomes.map(\.outcome))")
            #expect(try won.map { try $0.vm.monitor.status() } == ["running"])
            #expect(try lost.map { try $0.vm.endedWithoutRunning() } == [true])
        }
    }

    @Test("A QEMU that is killed leaves nothing taken: another VM starts with the disk at once")
    func killed() throws {
        let disk = try LoopDisk()
        try host.assign("work block dom0:\(disk.port) required -", "media block dom0:\(disk.port) required -")
        let work = try VM("work", on: host)
        #expect(try host.apply("work", "--boot").status == 0)
        #expect(try !host.heldLocks().isEmpty)
        work.kill()
        #expect(try host.heldLocks().isEmpty)
        let media = try VM("media", on: host)
        let outcome = try host.apply("media", "--boot")
        #expect(outcome.status == 0, "\(outcome)")
        #expect(try media.monitor.status() == "running")
    }

    @Test("Releasing a VM that has gone succeeds, twice too")
    func release() throws {
        let disk = try LoopDisk()
        try host.assign("work block dom0:\(disk.port) required -")
        let work = try VM("work", on: host)
        #expect(try host.apply("work", "--boot").status == 0)
        work.kill()
        for _ in 1...2 {
            let outcome = try host.apply("work", "--release")
            #expect(outcome.status == 0, "\(outcome)")
        }
        #expect(try host.heldLocks().isEmpty)
    }
}
