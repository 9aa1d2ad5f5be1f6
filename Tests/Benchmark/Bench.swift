import Foundation
import Glibc

/// All that is measured, with the goals of the design.
final class Bench {
    private let host: Host
    private let apply: String
    private let control: String
    private let generator: String
    private let bare: String
    private let sources: String
    private let release: String
    private let rounds: Int
    private var result = Report()

    init(release: String, sources: String, rounds: Int) throws {
        host = try Host()
        apply = "\(release)/vmdev-apply"
        control = "\(release)/vmdevctl"
        generator = "\(release)/vmdev-generator"
        bare = host.root + "/bare-client"
        self.rounds = rounds
        (self.release, self.sources) = (release, sources)
        try run(["cc", "-O2", "-o", bare, "\(sources)/bare-client.c"])
        try run(["cc", "-O2", "-o", host.root + "/peak", "\(sources)/peak.c"])
    }

    func report() throws -> Report {
        try nothingToApply()
        for count in [1, 8, 24] { try disks(count) }
        try libvirt(8)
        try lookups()
        try edits()
        try lists()
        try generation()
        try memory()
        try manyVMs()
        return result
    }

    /// A run on a fresh QEMU: what is attached once is there already the second time.
    private func fresh(_ places: Int, _ words: [String]) throws -> Cost {
        let qemu = try host.start("work", places: places)
        defer { qemu.kill() }
        return try run(words)
    }

    private var boot: [String] { [apply, "--root=\(host.root)", "--boot", "work"] }

    private func nothingToApply() throws {
        try host.write(table: ["# nothing"])
        let socket = host.socket("work")
        let ours = { try self.fresh(1, self.boot) }
        func with(_ words: [String]) throws -> Cost {
            let nothing = try run(["/bin/true"])
            let other = try fresh(1, words)
            return Cost(wall: nothing.wall + other.wall)
        }
        try result.compare(
            "nothing assigned / true + a program that connects", rounds: rounds, goal: 3, ours,
            { try with([bare, "--connect", socket]) })
        try result.compare(
            "nothing assigned / true + a program that opens a QMP session", rounds: rounds, ours,
            { try with([bare, "--greeting", socket]) })
        try result.compare(
            "nothing assigned / the same commands, bare", rounds: rounds, ours, { try fresh(1, [bare, socket]) })
    }

    private func disks(_ count: Int) throws {
        try host.need(count)
        try host.write(table: (0..<count).map { "work block dom0:\(host.port($0)) required -" })
        try result.compare(
            "\(count) disk\(count == 1 ? "" : "s") / the same commands, bare", rounds: rounds, goal: 1.10,
            { try fresh(count, boot) },
            { try fresh(count, [bare, host.socket("work")] + host.disks.prefix(count)) })
    }

    /// Beside `virsh attach-device` for each of the same disks; libvirtd is started for it, if there is one.
    private func libvirt(_ count: Int) throws {
        for program in ["libvirtd", "virsh", "dbus-daemon"] where (try? run(["which", program])) == nil {
            result.notes.append("not compared with virsh attach-device: there is no \(program)")
            return
        }
        let rounds = min(rounds, 5)
        let words = try output(
            of: ["env", "PLAIN=1", "BUILD=\(release)", "\(sources)/libvirt", "\(count)", "\(rounds)"])
        let numbers = words.split(separator: " ").compactMap { Double($0) }
        guard numbers.count == 4 else { throw Failure("\(sources)/libvirt says: \(words)") }
        result.add(
            Line(
                name: "\(count) disks by libvirt / virsh attach-device for each", unit: "µs", ours: numbers[0],
                theirs: numbers[2], ratio: numbers[3], goal: nil, rounds: rounds))
    }

    // MARK: The table

    /// So many rows of a hundred VMs, none of them of `work`.
    private func rows(_ count: Int) -> [String] {
        (0..<count).map {
            "vm\($0 % 100) block dom0:sd\(letters($0)):usb-SanDisk_Ultra_4C53000\($0) required read-only=yes"
        }
    }

    private func letters(_ number: Int) -> String {
        String(
            [number / 676 % 26, number / 26 % 26, number % 26].map { Character(Unicode.Scalar(UInt8(97 + $0))) })
    }

    private func lookups() throws {
        for count in [100, 10_000, 100_000] {
            try host.write(table: rows(count) + ["work mic dom0:mic auto-attach -"])
            try result.compare(
                "one VM's rows among \(count) / grep -c", rounds: rounds, goal: count == 100_000 ? 2 : nil,
                { try run([apply, "--root=\(host.root)", "--check", "nobody"]) },
                { try run(["grep", "-c", "^work ", host.table]) })
        }
        // The share of the start of a process, which is the same for every table.
        try host.write(table: rows(100))
        try result.compare(
            "the same, only what 100,000 rows cost more than 100", rounds: rounds,
            { try self.difference { try run([self.apply, "--root=\(self.host.root)", "--check", "nobody"]) } },
            { try self.difference { try run(["grep", "-c", "^work ", self.host.table], [0, 1]) } })
    }

    private lazy var large = Result { [rows] () throws in
        try host.write(table: rows(100_000) + ["work mic dom0:mic auto-attach -"])
        try run(["cp", host.table, host.root + "/large"])
    }

    private func difference(_ measured: () throws -> Cost) throws -> Cost {
        _ = try large.get()
        try run(["cp", host.root + "/large", host.table])
        let more = try measured()
        try host.write(table: rows(100) + ["work mic dom0:mic auto-attach -"])
        return Cost(wall: max(1, more.wall - (try measured()).wall))
    }

    private func edits() throws {
        for count in [100, 10_000, 100_000] {
            try host.write(table: rows(count))
            var isThere = false
            try result.compare(
                "one edit by vmdevctl among \(count) / grep -c", rounds: rounds,
                {
                    isThere.toggle()
                    return try run(
                        [
                            control, "--root=\(host.root)", "block", isThere ? "assign" : "unassign", "work",
                            "dom0:sdzz",
                        ])
                }, { try run(["grep", "-c", "^work ", host.table], [0, 1]) })
        }
    }

    private func lists() throws {
        try host.write(table: rows(100))
        try result.compare(
            "vmdevctl block list / lsblk", rounds: rounds,
            { try run([control, "--root=\(host.root)", "block", "list"]) },
            { try run(["lsblk"]) })
        try host.write(table: rows(10_000))
        try result.compare(
            "vmdevctl block list -s among 10000 rows / grep -c", rounds: rounds,
            { try run([control, "--root=\(host.root)", "block", "list", "-s"]) },
            { try run(["grep", "-c", "^work ", host.table], [0, 1]) })
    }

    /// The generator knows no other root: this mount namespace is ours alone.
    private func generation() throws {
        let folder = "/etc/vmdev"
        let isNew = mkdir(folder, 0o755) == 0
        try run(["mount", "--bind", host.root + folder, folder])
        defer {
            _ = try? run(["umount", folder])
            if isNew { rmdir(folder) }
        }
        let units = host.root + "/units"
        try run(["mkdir", "-p", units])
        try host.write(table: rows(10_000))
        try result.compare(
            "vmdev-generator, 10000 rows of 100 VMs / grep -c", rounds: rounds,
            { try run([generator, units, units, units]) },
            { try run(["grep", "-c", "^work ", host.table], [0, 1]) })
    }

    // MARK: Memory, and many VMs

    private func memory() throws {
        let check = [apply, "--root=\(host.root)", "--check", "nobody"]
        try host.write(table: rows(100))
        let small = try peak(of: check)
        try host.write(table: rows(100_000))
        result.measure(
            "peak memory that 100,000 rows of others add", try peak(of: check) - small, "MiB", goal: 0.5)
        try host.need(64)
        try host.write(table: (0..<64).map { "work block dom0:\(host.port($0)) required -" })
        let peaks = try (0..<3).map { _ in
            let qemu = try host.start("work", places: 64)
            defer { qemu.kill() }
            return try peak(of: boot)
        }
        result.measure("peak memory of vmdev-apply with 64 disks", median(peaks), "MiB", goal: 16, rounds: 3)
    }

    /// In MiB.
    private func peak(of words: [String]) throws -> Double {
        guard let peak = Double(try output(of: [host.root + "/peak"] + words)) else { throw Failure("no number") }
        return peak / 1024
    }

    /// A hundred VMs with a disk each, all at once: how long until the last has its disk.
    private func manyVMs() throws {
        let vms = (0..<100).map { "vm\($0)" }
        try host.need(vms.count)
        try host.write(table: vms.indices.map { "\(vms[$0]) block dom0:\(host.port($0)) required -" })
        func all(_ words: (Int) -> [String]) throws -> Cost {
            let qemus = try vms.map { try host.start($0, places: 1) }
            defer { qemus.forEach { $0.kill() } }
            let begin = now()
            let running = try vms.indices.map { try Running(words($0)) }
            for one in running { _ = try one.end() }
            return Cost(wall: Double(now() - begin) / 1000)
        }
        try result.compare(
            "100 VMs at once, a disk each / the same commands, bare", rounds: 2,
            { try all { [apply, "--root=\(host.root)", "--boot", vms[$0]] } },
            { try all { [bare, host.socket(vms[$0]), host.disks[$0]] } })
    }
}
