import Foundation
import Platform
import Testing

/// Each promise holds wherever the program is killed, and whichever system call fails. The short form takes some of the
/// calls, `make crash` all.
@Suite("When the program is killed, or the system fails it", needsWholeHost, .serialized)
struct CrashTests {
    @Test("Memory, threads and the end of a program are spared, wherever a number falls: only what can fail does")
    func spared() throws {
        let calls = try systemCalls(ofProgramAt: "/bin/true", [])
        let spared = calls.indices.filter { calls[$0] == .kill }
        #expect(spared.count > 5 && spared.count < calls.count)
        for index in spared {
            let fault = ["/dev/null", "error", "\(index + 1)", "\(ENOSPC)", "/bin/true"]
            let outcome = try Child(program("fault"), fault).finish()
            #expect(outcome.status == 0, "call \(index + 1): \(outcome)")
        }
    }

    @Test("The table is the old or the new one, and success means the new one")
    func table() throws {
        let host = try ScratchHost()
        let old = "# kept\nmedia  mic  dom0:mic  required\n"
        let path = "/etc/vmdev/assignments"
        let arguments = ["--root=\(host.root)", "block", "assign", "work", "dom0:sdz"]
        try host.write(path, old)
        let calls = try systemCalls(of: "vmdevctl", arguments)
        let new = host.read(path)
        #expect(new.hasPrefix(old) && new.contains("sdz"))

        let faults = Fault.all(for: calls, oneIn: 9, all: 90)
        var changed = 0
        for fault in faults {
            try host.write(path, old)
            let outcome = try run("vmdevctl", arguments, with: fault)
            let found = host.read(path)
            #expect(found == old || found == new, "\(fault): \(found)")
            #expect(outcome.status != 0 || found == new, "\(fault): a success that stored nothing")
            if case .error = fault { #expect(outcome.status < 128, "\(fault): \(outcome)") }
            if found == new { changed += 1 }
            // Whatever was left behind is no obstacle.
            if found == old {
                let again = try run(program("vmdevctl"), arguments)
                #expect(again.status == 0 && host.read(path) == new, "after \(fault): \(again)")
            }
        }
        let left = try FileManager.default.contentsOfDirectory(atPath: host.root + "/etc/vmdev").sorted()
        #expect(
            left.allSatisfy { $0.hasPrefix("assignments") || $0.hasPrefix(".assignments") || $0 == "vmdev.conf" },
            "\(left)")
        #expect(changed > 0 && changed < faults.count)
        print(
            "table edit: \(faults.count) faults at \(calls.count) system calls, \(changed) of them after the change"
        )
    }

    @Test("A VM runs with all of its devices or not at all, and a rerun or its end leaves nothing half attached")
    func apply() throws {
        let host = try ScratchHost()
        // What a fault has kept from being sent is waited for in vain.
        try host.write("/etc/vmdev/vmdev.conf", "[QEMU]\nQMPTimeoutSec=20s\n")
        let disks = [try LoopDisk(), try LoopDisk()]
        try host.assign("work block dom0:\(disks[0].port) required", "work block dom0:\(disks[1].port) required")
        let arguments = ["--root=\(host.root)", "--boot", "work"]
        let calls = try { () throws -> [SystemCall] in
            let vm = try VM("work", on: host)
            defer { vm.kill() }
            return try systemCalls(of: "vmdev-apply", arguments)
        }()

        let faults = Fault.all(for: calls, oneIn: 29)
        var (reruns, ended) = (0, 0)
        for (number, fault) in faults.enumerated() {
            let vm = try VM("work", on: host)
            let outcome = try run("vmdev-apply", arguments, with: fault)
            if case .error = fault { #expect(outcome.status < 128, "\(fault): \(outcome)") }
            if let state = try? vm.monitor.status() {
                let attached = try vm.monitor.attachments().count
                #expect(
                    state == "prelaunch" || (state == "running" && attached == 2), "\(fault): \(state), \(attached)"
                )
                #expect(outcome.status != 0 || state == "running", "\(fault): \(outcome)")
                if state == "running" {
                    let blocks = try #require(try vm.monitor.execute("query-block") as? [[String: Any]])
                    let writable = blocks.filter { ($0["inserted"] as? [String: Any])?["ro"] as? Bool == false }
                    #expect(writable.count == 2, "\(fault): \(outcome): \(blocks)")
                }
                if number % 2 == 0 {
                    let again = try host.apply("work", "--boot")
                    #expect(again.status == 0, "after \(fault): \(again)")
                    #expect(try vm.monitor.attachments().count == 2 && vm.monitor.status() == "running", "\(fault)")
                    let handed = try vm.monitor.execute("query-fdsets") as? [Any]
                    #expect(handed?.count == 2, "after \(fault): nothing is handed over twice")
                    reruns += 1
                }
            } else {
                #expect(outcome.status != 0, "\(fault): a success, and QEMU has gone")
                ended += 1
            }
            vm.kill()
            #expect(try host.heldLocks() == [], "after \(fault)")
            for disk in disks {
                #expect(throws: Never.self, "after \(fault)") {
                    _ = try Descriptor.open(disk.path, [.readWrite, .exclusive])
                }
            }
        }
        print(
            "apply: \(faults.count) faults at \(calls.count) system calls; \(ended) ended the VM, \(reruns) were run again"
        )
    }
}
