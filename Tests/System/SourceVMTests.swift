import Devices
import Foundation
import Glibc
import Platform
import Testing

/// A source VM in all but its kernel: `vmdev-export`, started for each connection to a socket as systemd does it.
final class SourceHost {
    let root = temporaryPath("source")
    private let listener: Child

    /// Answers at /run/export.sock of that host.
    init(for host: ScratchHost) throws {
        try FileManager.default.createDirectory(atPath: root + "/run/vmdev", withIntermediateDirectories: true)
        for link in ["/dev", "/sys"] {
            try FileManager.default.createSymbolicLink(atPath: root + link, withDestinationPath: link)
        }
        let path = host.root + "/run/export.sock"
        unlink(path)
        listener = try Child(
            "systemd-socket-activate",
            ["--accept", "--inetd", "-l", path, program("vmdev-export"), "--root=\(root)"])
        let watch = try FolderWatch(host.root + "/run")
        let deadline = Deadline(after: .seconds(60))
        while access(path, F_OK) != 0 {
            guard try watch.next(until: deadline) else { throw Failure("nobody listens on \(path)") }
        }
        try host.write("/etc/vmdev/vmdev.conf", "[Source sys-usb]\nAddress=unix:/run/export.sock\n")
    }

    deinit {
        stop()
        try? FileManager.default.removeItem(atPath: root)
    }

    /// Nobody answers from now on; exports go on.
    func stop() { listener.kill() }

    /// The process that holds the export of a disk; nil when there is none.
    func exporter(of port: String) throws -> pid_t? {
        for name in try FileManager.default.contentsOfDirectory(atPath: "/proc") {
            guard let pid = pid_t(name), let data = FileManager.default.contents(atPath: "/proc/\(pid)/cmdline"),
                String(decoding: data, as: UTF8.self).contains("--export-name=\(port)\0")
            else { continue }
            return pid
        }
        return nil
    }
}

@Suite("Devices of another VM", needsWholeHost, needs(Requirement.command("qemu-nbd", of: "qemu-utils")))
struct SourceVMTests {
    let host: ScratchHost
    init() throws { host = try ScratchHost() }

    @Test("An assigned disk of a source VM is in the guest at its start, with its size, serial and content")
    func guestSeesDisk() throws {
        let disk = try LoopDisk()
        let source = try SourceHost(for: host)
        try host.assign("work block sys-usb:\(disk.port) required -")
        let vm = try VM("work", on: host, guest: Guest(disks: 1, stays: true))
        let outcome = try host.apply("work", "--boot")
        try #require(outcome.status == 0, "\(outcome)")
        let seen = try vm.console(upTo: "guest: disks end").split(whereSeparator: \.isNewline)
            .compactMap { GuestDisk(line: $0) }
        #expect(seen == [GuestDisk(size: 8 << 20, readOnly: false, serial: disk.port, text: disk.text)])
        // The export ends with the target, however that ends.
        let exporter = try #require(try source.exporter(of: disk.port))
        let process = ProcessHandle(pid: exporter)
        vm.kill()
        #expect(try process?.waitForEnd(until: Deadline(after: .seconds(60))) != false)
        #expect(try host.apply("work", "--check").status == 0)
    }

    @Test("A disk of a source VM that is assigned read-only is read-only in the guest")
    func readOnly() throws {
        let disk = try LoopDisk()
        let source = try SourceHost(for: host)
        try host.assign("work block sys-usb:\(disk.port) required read-only=yes")
        let vm = try VM("work", on: host, guest: Guest(disks: 1))
        let outcome = try host.apply("work", "--boot")
        try #require(outcome.status == 0, "\(outcome)")
        #expect(try vm.disksSeenByGuest().map(\.readOnly) == [true])
        source.stop()
    }

    @Test(
        "Source VM not running, exporter not answering, disk not there, disk given to another: four different errors"
    )
    func refusals() throws {
        let disk = try LoopDisk()
        let port = disk.port
        try host.assign("work block sys-usb:\(port) required -", "other block sys-usb:\(port) required -")
        let source = try SourceHost(for: host)

        let other = try VM("other", on: host)
        try #require(try host.apply("other", "--boot").status == 0)
        let first = try VM("work", on: host)
        let taken = try host.apply("work", "--boot")
        #expect(taken.status == 73, "\(taken)")
        #expect(taken.errors.contains("VM other"))
        #expect(try first.endedWithoutRunning())
        other.kill()

        disk.detach()
        let second = try VM("work", on: host)
        let gone = try host.apply("work", "--boot")
        #expect(gone.status == 69, "\(gone)")
        #expect(gone.errors.contains("is not there"))
        #expect(try second.endedWithoutRunning())

        source.stop()
        let third = try VM("work", on: host)
        let stopped = try host.apply("work", "--boot")
        #expect(stopped.status == 69, "\(stopped)")
        #expect(stopped.errors.contains("source VM sys-usb is not running"))
        #expect(try third.endedWithoutRunning())

        let running = try VM("sys-usb", on: host)
        let fourth = try VM("work", on: host)
        let silent = try host.apply("work", "--boot")
        #expect(silent.status == 75, "\(silent)")
        #expect(silent.errors.contains("its exporter does not answer"))
        #expect(try fourth.endedWithoutRunning())
        running.kill()
    }

    @Test("A disk that the source VM itself uses is not given away")
    func usedBySource() throws {
        let disk = try LoopDisk()
        let mount = try disk.mount()
        let source = try SourceHost(for: host)
        try host.assign("work block sys-usb:\(disk.port) required -")
        let vm = try VM("work", on: host)
        let outcome = try host.apply("work", "--boot")
        #expect(outcome.status == 73, "\(outcome)")
        #expect(outcome.errors.contains("mounted on \(mount.point)"))
        #expect(try vm.endedWithoutRunning())
        source.stop()
    }

    @Test("When the export has died, the VM goes on, and applying again exports the disk anew for it, once")
    func renewed() throws {
        let disk = try LoopDisk()
        let source = try SourceHost(for: host)
        try host.assign("work block sys-usb:\(disk.port) required -")
        let vm = try VM("work", on: host)
        try #require(try host.apply("work", "--boot").status == 0)
        let exporter = try #require(try source.exporter(of: disk.port))
        let process = try #require(ProcessHandle(pid: exporter))
        try process.kill()
        _ = try process.waitForEnd(until: Deadline(after: .seconds(60)))
        #expect(try vm.monitor.status() == "running")
        // Its lease ends a moment later; until then it is exported, to this VM.
        var again = try host.apply("work")
        for _ in 0..<50 where try source.exporter(of: disk.port) == nil { again = try host.apply("work") }
        #expect(again.status == 0, "\(again)")
        let second = try #require(try source.exporter(of: disk.port))
        #expect(second != exporter)
        #expect(try host.apply("work").status == 0)
        #expect(try source.exporter(of: disk.port) == second)
        #expect(try vm.monitor.attachments().count == 1)
    }

    @Test("A disk that is called otherwise when it is back is written to where the VM has it, and is no second one")
    func renamed() throws {
        let image = host.root + "/image"
        try Data(count: 1 << 20).write(to: URL(filePath: image))
        func plugIn() throws -> String {
            let node = try tool("losetup", "--find", "--show", image).trimmingCharacters(
                in: .whitespacesAndNewlines)
            return String(node.dropFirst("/dev/".count))
        }
        let first = try plugIn()
        defer { _ = try? run("losetup", ["--detach", "/dev/\(first)"]) }
        let source = try SourceHost(for: host)
        try host.assign("work block sys-usb:\(first):\(image) required -")
        let vm = try VM("work", on: host)
        try #require(try host.apply("work", "--boot").status == 0)
        let id = try #require(try vm.monitor.attachments().first)
        let exporter = try #require(try source.exporter(of: first))
        let process = try #require(ProcessHandle(pid: exporter))
        try process.kill()
        _ = try process.waitForEnd(until: Deadline(after: .seconds(60)))

        // The next number is another one as long as this is taken, and the disk in it then goes as soon as nobody has it open.
        let second = try plugIn()
        defer { _ = try? run("losetup", ["--detach", "/dev/\(second)"]) }
        try tool("losetup", "--detach", "/dev/\(first)")
        var again = try host.apply("work")
        for _ in 0..<100 where try source.exporter(of: first) == nil { again = try host.apply("work") }
        #expect(again.status == 0, "\(again)")
        #expect(again.errors.contains("has moved from port \(first) to \(second)"), "\(again)")
        #expect(try source.exporter(of: second) == nil, "it is served under its old name")
        #expect(try vm.monitor.attachments() == [id])
        try vm.monitor.execute(
            "human-monitor-command",
            ["command-line": "qemu-io -d /machine/peripheral/\(id)/virtio-backend \"write -P 0x42 0 512\""])
        #expect(try contents(of: image, limit: 2 << 20).prefix(512).allSatisfy { $0 == 0x42 })
        #expect(try host.apply("work").errors.contains("is attached already"))
        vm.kill()
    }

    /// A source VM that tells of a disk `sdz` of 2 MiB, and whose NBD server is what `server` starts at the path of its socket.
    private func hostile(_ name: String, server: (String) throws -> Child) throws -> [Child] {
        let channel = SourceAddress.channel(for: try Port("sdz", of: .block), of: .block)
        let device =
            #"{"port":"sdz","title":"x","instance":"b/1","key":"block-8:0","size":2097152,"read-only":false}"#
        let script = """
            read line
            case $line in
            *usb*list*) echo '{"vmdev":1,"devices":[]}' ;;
            *list*) echo '{"vmdev":1,"devices":[\(device)]}' ;;
            *export*) echo '{"vmdev":1,"export":{"channel":\(channel),"name":"sdz"}}'; exec cat >/dev/null ;;
            esac
            """
        let path = host.root + "/run/\(name).sock"
        let exporter = try listener(at: path, script)
        let child = try server("\(path).\(channel)")
        try appear("\(path).\(channel)")
        return [exporter, child]
    }

    /// Runs the script for each connection to a socket.
    private func listener(at path: String, _ script: String) throws -> Child {
        let child = try Child("systemd-socket-activate", ["--accept", "--inetd", "-l", path, "sh", "-c", script])
        try appear(path)
        return child
    }

    private func appear(_ path: String) throws {
        let watch = try FolderWatch(host.root + "/run")
        let deadline = Deadline(after: .seconds(60))
        while access(path, F_OK) != 0 {
            try #require(try watch.next(until: deadline), "nobody listens on \(path)")
        }
    }

    @Test("A source that tells of another size than its disk has does not get its disk into the VM")
    func liar() throws {
        let image = host.root + "/image"
        try Data(count: 1 << 20).write(to: URL(filePath: image))
        let children = try hostile("liar") { path in
            try Child("qemu-nbd", ["--persistent", "-f", "raw", "-x", "sdz", "-k", path, image])
        }
        defer { for child in children { child.kill() } }
        try host.write("/etc/vmdev/vmdev.conf", "[Source sys-usb]\nAddress=unix:/run/liar.sock\n")
        try host.assign("work block sys-usb:sdz required -")
        let vm = try VM("work", on: host)
        let outcome = try host.apply("work", "--boot")
        #expect(outcome.status == 74, "\(outcome)")
        #expect(outcome.errors.contains("1048576 bytes"), "\(outcome)")
        #expect(try vm.endedWithoutRunning())
    }

    @Test(
        "An NBD server that says nothing, talks nonsense or hangs up ends the start with an error that names its VM",
        arguments: [
            ("exec cat >/dev/null", "does not serve it in time"),
            ("echo 220 smtp; exec cat >/dev/null", "is no disk"),
            ("exit", "is no disk"),
        ])
    func mute(server: String, words: String) throws {
        let children = try hostile("mute") { try listener(at: $0, server) }
        defer { for child in children { child.kill() } }
        try host.write("/etc/vmdev/vmdev.conf", "[Source sys-usb]\nAddress=unix:/run/mute.sock\n")
        try host.assign("work block sys-usb:sdz required -")
        let vm = try VM("work", on: host)
        let outcome = try host.apply("work", "--boot")
        #expect(outcome.status == 74, "\(outcome)")
        #expect(outcome.errors.contains("sys-usb:sdz cannot be had: "), "\(outcome)")
        #expect(outcome.errors.contains(words), "\(outcome)")
        #expect(try vm.endedWithoutRunning())
    }

    @Test("Beside two hostile sources a VM gets the disks of its host and of a good source")
    func others() throws {
        let (own, given) = (try LoopDisk(), try LoopDisk())
        let source = try SourceHost(for: host)
        let children =
            try hostile("mute") { try listener(at: $0, "exec cat >/dev/null") }
            + [listener(at: host.root + "/run/silent.sock", "exec cat >/dev/null")]
        defer { for child in children { child.kill() } }
        try host.write(
            "/etc/vmdev/vmdev.conf",
            """
            [Source sys-usb]
            Address=unix:/run/export.sock
            [Source mute]
            Address=unix:/run/mute.sock
            [Source silent]
            Address=unix:/run/silent.sock

            """)
        try host.assign(
            "work block mute:sdz auto-attach timeout=0", "work block silent:sda auto-attach timeout=0",
            "work block dom0:\(own.port) required -", "work block sys-usb:\(given.port) required -")
        let vm = try VM("work", on: host)
        let outcome = try host.apply("work", "--boot")
        #expect(outcome.status == 0, "\(outcome)")
        #expect(try vm.monitor.status() == "running")
        #expect(try vm.monitor.attachments().count == 2)
        for name in ["mute:sdz", "block device silent:sda"] {
            #expect(outcome.errors.contains(name), "\(outcome)")
        }
        source.stop()
    }
}
