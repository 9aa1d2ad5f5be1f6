import Foundation
import Platform
import Testing

/// The whole of it: a source VM with its own kernel, udev, exporter and devices, and a VM that gets these devices.
@Suite(
    "Two VMs, one with a stick and a disk and one without", .serialized, needsWholeHost,
    needs(
        Requirement.releaseBuild, Requirement.command("qemu-nbd", of: "qemu-utils"),
        Requirement.library("libusbredirhost.so.1", of: "libusbredirhost1"),
        Requirement.command("systemd-socket-activate", of: "systemd"),
        Requirement.command("virsh", of: "libvirt-clients"), Requirement.command("libvirtd", of: "libvirt-daemon")))
struct SourcePairTests {
    let host: ScratchHost

    init() throws { host = try ScratchHost() }

    private func assignBoth() throws {
        for (deviceClass, device) in [("usb", "sys-usb:2-1"), ("block", "sys-usb:sdb")] {
            let outcome = try host.vmdevctl(deviceClass, "attach", "--persistent", "work", device)
            try #require(outcome.status == 0, "\(outcome)")
        }
    }

    @Test(
        "The guest sees the stick with its serial number and the disk, and reads and writes both",
        arguments: TargetHypervisor.allCases)
    func both(hypervisor: TargetHypervisor) throws {
        let pair = try SourcePair(on: host, hypervisor)
        let (source, sourceConsole) = try pair.startSource()
        // What systemd would start there for what is plugged in, to tell the host.
        for (device, action, unit) in [
            ("/sys/block/sdb", "add", "vmdev-announce@block:8:16:[0-9][0-9]*.service"),
            ("/sys/bus/usb/devices/2-1", "bind", "vmdev-announce@usb:189:[0-9]*:[0-9][0-9]*.service"),
        ] {
            try sourceConsole.run(
                """
                udevadm trigger --action=\(action) --settle \(device) && \
                udevadm info --query=property \(device) | cat | grep -x 'SYSTEMD_WANTS=\(unit)'
                """)
        }
        try assignBoth()
        let (stick, disk) = (try checksum(pair.stick), try checksum(pair.disk))
        let work = try pair.startTarget()
        let outcome = try host.apply("work", "--boot")
        try #require(outcome.status == 0, "\(outcome)")

        let guest = try pair.console()
        try guest.run("await /dev/sda && await /dev/vda")
        #expect(try guest.run("cat /sys/bus/usb/devices/*-*/serial").contains("STICK01"))
        #expect(try guest.run("cat /sys/block/vda/serial") == "DISK01")
        #expect(try guest.run("sha256sum /dev/sda").hasPrefix(stick))
        #expect(try guest.run("sha256sum /dev/vda").hasPrefix(disk))
        for name in ["sda", "vda"] {
            try guest.run("dd if=/dev/urandom of=/tmp/new bs=64k count=8 2>/dev/null")
            try guest.run("dd if=/tmp/new of=/dev/\(name) bs=64k seek=4 conv=fsync 2>/dev/null")
            let written = try guest.run("sha256sum /dev/\(name)")
            #expect(written.hasPrefix(try checksum(name == "sda" ? pair.stick : pair.disk)))
        }

        // With the target both are free, and the source's own driver has the stick again.
        work.kill()
        try sourceConsole.run("await /dev/sda && grep -q 'sdb to VM work has ended' /run/export.log")
        #expect(try host.apply("work", "--check").status == 0)
        source.kill()
    }

    @Test(
        "Stick pulled, no exporter, source stopped: the VM does not start, each time with another error",
        arguments: TargetHypervisor.allCases)
    func refusals(hypervisor: TargetHypervisor) throws {
        let pair = try SourcePair(on: host, hypervisor)
        let (source, console) = try pair.startSource()
        try assignBoth()
        func refusal(_ status: Int32, _ words: String) throws {
            let work = try pair.startTarget()
            let outcome = try host.apply("work", "--boot")
            #expect(outcome.status == status, "\(outcome)")
            #expect(outcome.errors.contains(words), "\(outcome)")
            #expect(try work.endedWithoutRunning())
        }
        try source.monitor.execute("device_del", ["id": "plug"])
        try source.monitor.wait(for: "DEVICE_DELETED")
        try console.run("while [ -e /sys/bus/usb/devices/2-1 ]; do sleep 0.1; done")
        try refusal(69, "usb device sys-usb:2-1")
        try console.run("kill $(cat /run/export.pid)")
        try refusal(75, "its exporter does not answer")
        source.kill()
        try refusal(69, "source VM sys-usb is not running")
    }

    @Test(
        "The source is killed while the guest writes: when it is back, all of it is on the disk",
        arguments: TargetHypervisor.allCases)
    func killedInMidWrite(hypervisor: TargetHypervisor) throws {
        let pair = try SourcePair(on: host, hypervisor)
        let (first, _) = try pair.startSource()
        try assignBoth()
        let work = try pair.startTarget()
        let outcome = try host.apply("work", "--boot")
        try #require(outcome.status == 0, "\(outcome)")
        let guest = try pair.console()
        try guest.run("await /dev/vda && dd if=/dev/urandom of=/tmp/new bs=64k count=64 2>/dev/null")
        let before = try checksum(pair.disk)
        // A little at a time, so that the end of the source comes in the midst of it. Each of these writes goes through two
        // guests: 0.03 s were seen where these share two processors with others.
        try guest.start("dd if=/tmp/new of=/dev/vda bs=4k oflag=direct 2>/dev/null && sha256sum /tmp/new")
        let deadline = Deadline(after: .seconds(240))
        while try checksum(pair.disk) == before { try #require(!deadline.hasPassed, "nothing is written") }
        first.kill()
        #expect(try work.status() == "running")

        let (second, _) = try pair.startSource()
        let again = try host.apply("work")
        #expect(again.status == 0, "\(again)")
        let sum = String(try guest.finish(within: .seconds(600)).prefix(64))
        try guest.run("echo 3 >/proc/sys/vm/drop_caches")
        #expect(try guest.run("sha256sum /dev/vda").hasPrefix(sum))
        #expect(try checksum(pair.disk) == sum)
        #expect(try guest.run("await /dev/sda && cat /sys/bus/usb/devices/*-*/serial").contains("STICK01"))
        second.kill()
    }

    @Test(
        "A stick that is pulled and plugged in again while both VMs run comes back without a hand, once",
        arguments: TargetHypervisor.allCases)
    func replugged(hypervisor: TargetHypervisor) throws {
        let pair = try SourcePair(on: host, hypervisor)
        let (source, _) = try pair.startSource()
        try host.assign("work usb sys-usb:2-1:46f4:0001:STICK01:u080650 required -")
        let work = try pair.startTarget()
        let outcome = try host.apply("work", "--boot")
        try #require(outcome.status == 0, "\(outcome)")
        let guest = try pair.console()
        try guest.run("await /dev/sda")

        let first = try pair.listen()
        try pair.pull(from: source)
        let lost = try first.finish(within: .seconds(120))
        #expect(lost.status == 0, "\(lost)")
        #expect(lost.errors.contains("was lost: VM sys-usb does not give it any more"), "\(lost)")
        #expect(try work.status() == "running")
        // The controller of the one has such a name, too.
        let own = hypervisor == .qemu ? ["vmdev-usb"] : []
        #expect(try work.attachments() == own)

        let second = try pair.listen()
        try pair.plug(into: source)
        let back = try second.finish(within: .seconds(120))
        #expect(back.status == 0, "\(back)")
        #expect(back.errors.contains("46f4:0001:STICK01:u080650 is attached"), "\(back)")
        #expect(try work.attachments().count == own.count + 1)
        // The guest's kernel takes its time to part with the old one and to find the new one.
        let serials = try guest.run(
            """
            n=0; until [ $n = 600 ] || [ "$(cat /sys/bus/usb/devices/*-*/serial)" = STICK01 ]; do sleep 0.2; n=$((n + 1)); \
            done; await /dev/sda || await /dev/sdb; cat /sys/bus/usb/devices/*-*/serial
            """)
        #expect(serials.split(whereSeparator: \.isWhitespace).filter { $0 == "STICK01" }.count == 1, "\(serials)")

        // Called again there is nothing to do, and nothing to say.
        let third = try host.call("--source-changed=sys-usb").finish()
        #expect(third.status == 0 && third.errors.isEmpty, "\(third)")
        #expect(try work.attachments().count == own.count + 1)
        source.kill()
    }

    @Test("A source VM that is still booting is waited for")
    func late() throws {
        let pair = try SourcePair(on: host, .qemu)
        try host.assign("work usb sys-usb:2-1:46f4:0001:STICK01:u080650 required timeout=10min")
        let work = try pair.startTarget()
        let start = try host.startApplying("work", "--boot")
        let (source, _) = try pair.startSource()
        let outcome = try start.finish(within: .seconds(240))
        #expect(outcome.status == 0, "\(outcome)")
        #expect(outcome.errors.contains("is waited for"))
        #expect(try work.status() == "running")
        source.kill()
    }
}
