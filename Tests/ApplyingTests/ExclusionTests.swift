import Applying
import Devices
import HostDevices
import Hypervisors
import TestSupport
import Testing

@Suite("No device in two places")
struct ExclusionTests {
    let host: FakeHost
    let work: VMName
    let media: VMName

    init() throws {
        host = try FakeHost()
        work = try VMName("work")
        media = try VMName("media")
        host.simulator.add(work)
        host.simulator.add(media)
    }

    @Test(
        "What one VM has, a part of it or what is made from it, no other VM gets",
        arguments: [
            ("sda", "sda", true), ("sda", "sda1", true), ("sda1", "sda", true), ("sda1", "sda1", true),
            ("sda1", "sda2", false), ("dm-0", "sda1", true), ("sda1", "dm-0", true), ("dm-0", "sda", true),
            ("sda", "dm-0", true), ("dm-0", "sda2", false), ("sda", "sdb", false),
        ])
    func overlap(first: String, second: String, excludes: Bool) throws {
        host.source.set([
            try disk("sda"), try disk("sda1", on: ["sda"]), try disk("sda2", on: ["sda"]),
            try disk("dm-0", on: ["sda1", "sda"]), try disk("sdb"),
        ])
        #expect(try host.apply("work", "work dom0:\(first) required") == .success)
        #expect(try host.apply("media", "media dom0:\(second) required") == (excludes ? .taken : .success))
        if excludes {
            let text = try #require(host.reporter.texts(.failed).first)
            #expect(text.contains("taken by VM work"))
            #expect(first == second || text.contains("which has block device dom0:\(first)"))
        }
        host.simulator.crash(work)
        host.simulator.add(media)
        #expect(try host.apply("media", "media dom0:\(second) required") == .success, "free when its VM is gone")
    }

    @Test("A disk and its own partition cannot both go to one VM")
    func withinOneVM() throws {
        host.source.set([try disk("sda"), try disk("sda1", on: ["sda"])])
        #expect(try host.apply("work", "work dom0:sda required", "work dom0:sda1 required") == .tableWrong)
        #expect(host.reporter.reasons == [.overlap])
    }

    @Test("The most specific of several assignments of one device says how it is attached")
    func mostSpecific() throws {
        host.source.set([try disk("sda", identity: "usb-A")])
        let rows = [
            "work dom0:*:usb-A required", "work dom0:sda:usb-A auto-attach read-only=yes", "work dom0:sda required",
        ]
        host.store.set(try rows.map(row))
        #expect(host.applier.apply(to: work, on: .boot) == .success)
        #expect(host.simulator.attached(to: work).values.map(\.readOnly) == [true])
        #expect(host.reporter.kinds == [.attached, .started])
    }

    @Test("A device that moved is followed, and that is told", arguments: [true, false])
    func followed(follow: Bool) throws {
        host.source.set([try disk("sdb", identity: "usb-A"), try disk("sda", identity: "usb-B")])
        let status = try host.apply(
            "work", "work dom0:sda:usb-A required \(follow ? "follow=yes" : "follow=no")")
        #expect(status == (follow ? .success : .unavailable))
        #expect(host.reporter.kinds == (follow ? [.followed, .attached, .started] : [.failed, .startRefused]))
        #expect(follow || host.reporter.reasons == [.deviceMoved])
    }

    @Test("Two devices with one identity are never guessed between")
    func ambiguous() throws {
        host.source.set([try disk("sdb", identity: "usb-A"), try disk("sda", identity: "usb-A")])
        #expect(try host.apply("work", "work dom0:*:usb-A required") == .unavailable)
        let text = try #require(host.reporter.texts(.failed).first)
        #expect(text.contains("dom0:sda, dom0:sdb"))
    }

    @Test("Another disk that came to the same place is not taken for the one that the VM has")
    func sequence() throws {
        host.source.set([try disk("sda", sequence: 1)])
        #expect(try host.apply("work", "work dom0:sda required") == .success)
        host.source.set([try disk("sda", sequence: 2)])
        #expect(try host.apply("work", on: .byHand, "work dom0:sda required") != .success)
        #expect(!host.reporter.kinds.contains(.alreadyAttached))
    }

    @Test("An IOMMU group is one VM's as a whole, and that VM may have several devices of it")
    func group() throws {
        func function(_ port: String, key: String? = nil) throws -> Device {
            Device(
                .block, source: .host, port: try Port(port, of: .block), title: port,
                canonical: CanonicalDevice(key: "pci-\(port)", alone: ["iommu-5"], beneath: ["root"]))
        }
        host.source.set([try function("fa"), try function("fb"), try disk("sda")])
        #expect(try host.apply("work", "work dom0:fa required", "work dom0:fb required") == .success)
        #expect(try host.apply("media", "media dom0:fb required") == .taken)
        host.simulator.crash(work)
        host.simulator.add(work)
        host.simulator.add(media)
        #expect(try host.apply("media", "media dom0:fb required") == .success)
        #expect(try host.apply("work", "work dom0:fa required") == .taken)
        let text = try #require(host.reporter.texts(.failed).last)
        #expect(text.contains("taken by VM media, which has block device dom0:fb"))
    }

    @Test("A microphone may be in two running VMs, and the list says in which; its sound card may not")
    func microphone() throws {
        let mic = Device(
            .mic, source: .host, port: try Port("mic", of: .mic), title: "mic",
            canonical: CanonicalDevice(key: "mic-0-0", beneath: ["block-card"]))
        host.source.set([mic, try disk("card")])
        for vm in [work, media] {
            host.store.set([
                try Assignment(target: vm, device: mic.reference, mode: .required, options: .none)
            ])
            #expect(host.applier.apply(to: vm, on: .boot) == .success)
        }
        #expect(try host.locks.live().map(\.vm) == [media, work] || host.locks.live().map(\.vm) == [work, media])
        let third = try VMName("third")
        host.simulator.add(third)
        #expect(try host.apply("third", "third dom0:card required") == .taken)
    }

    @Test("What a source cannot give is told before anything is attached, and so is what is impossible without it")
    func unfit() throws {
        host.source.set([try disk("sda"), try disk("sdb")])
        try host.source.object(to: "sda", SourceError(.unfit, "sda needs sdb"), unlessWith: "sdb")
        #expect(try host.apply("work", "work dom0:sda required") == .unavailable)
        #expect(host.reporter.reasons == [.deviceUnfit])
        host.simulator.add(work)

        try host.source.object(to: "sdb", SourceError(.unfit, "sdb cannot be given"))
        #expect(
            try host.apply("work", "work dom0:sda required", "work dom0:sdb auto-attach") == .unavailable)
        #expect(
            Set(host.reporter.outcomes.map(\.message)).isSuperset(of: ["sda needs sdb.", "sdb cannot be given."]))
    }
}
