import Foundation
import Testing

@Suite("The companion program", needsWholeHost)
struct CommandLineTests {
    let host: ScratchHost
    let disk: LoopDisk
    init() throws {
        host = try ScratchHost()
        disk = try LoopDisk()
    }

    private var table: String { host.read("/etc/vmdev/assignments") }
    private var reference: String { "dom0:\(disk.port)" }

    @Test("attach --persistent on a halted VM assigns; the VM then starts with the disk")
    func attachPersistent() throws {
        let outcome = try host.vmdevctl("block", "attach", "--persistent", "work", reference)
        #expect(outcome.status == 0, "\(outcome)")
        #expect(table.contains(reference))
        let vm = try VM("work", on: host)
        let applied = try host.apply("work", "--boot")
        #expect(applied.status == 0, "\(applied)")
        #expect(try vm.monitor.attachments() == ["vmdev-\(disk.port)"])
    }

    @Test("attach and detach without --persistent work on a running VM and leave the table as it is")
    func hot() throws {
        let vm = try VM("work", on: host, guest: Guest(disks: 0, stays: true))
        try #require(try host.apply("work", "--boot").status == 0)
        _ = try vm.console(upTo: "guest: staying")
        let attached = try host.vmdevctl("block", "attach", "work", reference)
        try #require(attached.status == 0, "\(attached)")
        let console = try vm.console(upTo: "text=\(disk.text)")
        #expect(console.contains("serial=\(disk.port) "))
        let detached = try host.vmdevctl("block", "detach", "work", reference)
        #expect(detached.status == 0, "\(detached)")
        #expect(try vm.monitor.attachments().isEmpty)
        #expect(try host.heldLocks().isEmpty)
        #expect(!table.contains(reference))
    }

    @Test("detach ends both the attachment and the assignment")
    func detachBoth() throws {
        #expect(try host.vmdevctl("block", "attach", "--persistent", "work", reference).status == 0)
        let outcome = try host.vmdevctl("block", "detach", "work", reference)
        #expect(outcome.status == 0, "\(outcome)")
        #expect(!table.contains(reference))
    }

    @Test("detach works when the device has gone")
    func detachGone() throws {
        #expect(try host.vmdevctl("block", "attach", "--persistent", "work", reference).status == 0)
        disk.detach()
        let outcome = try host.vmdevctl("block", "detach", "work", reference)
        #expect(outcome.status == 0, "\(outcome)")
        #expect(!table.contains(reference))
    }

    @Test("assign and unassign change the table only, and keep its comments")
    func assignUnassign() throws {
        try host.assign("# mine", "media block dom0:sr9 auto-attach -  ")
        let assigned = try host.vmdevctl("block", "assign", "--auto-attach", "work", reference)
        #expect(assigned.status == 0, "\(assigned)")
        #expect(table.contains("auto-attach"))
        #expect(table.contains(reference))
        let unassigned = try host.vmdevctl("block", "unassign", "work", reference)
        #expect(unassigned.status == 0, "\(unassigned)")
        #expect(table == "# mine\nmedia block dom0:sr9 auto-attach -  \n")
    }

    @Test("No action means list, and the list shows what is there and who has it")
    func list() throws {
        let before = try host.vmdevctl("block")
        #expect(before.status == 0, "\(before)")
        #expect(before.output.contains(reference))
        let vm = try VM("work", on: host)
        try host.assign("work block \(reference) required -")
        #expect(try host.apply("work", "--boot").status == 0)
        let row = try host.vmdevctl("block", "ls").output.split(separator: "\n").first {
            $0.contains(reference + " ") || $0.contains(reference + "\t")
        }
        #expect(row?.contains("work") == true)
        _ = vm
    }

    @Test("info tells of one device")
    func info() throws {
        let outcome = try host.vmdevctl("block", "info", reference)
        #expect(outcome.status == 0, "\(outcome)")
        #expect(outcome.output.contains(disk.port))
    }

    @Test(
        "It speaks as qvm-block and qvm-device when called so",
        arguments: [["qvm-block"], ["qvm-device", "block"], ["/usr/bin/qvm-block"]])
    func otherNames(_ words: [String]) throws {
        let outcome = try run(
            program("vmdevctl"), words.dropFirst() + ["--root=\(host.root)", "list"], calledAs: words[0])
        #expect(outcome.status == 0, "\(outcome)")
        #expect(outcome.output.contains(reference))
    }

    @Test("A device that is not there is not assigned by a typing error: the exit status and the words say so")
    func absent() throws {
        let port = missingPort
        let outcome = try host.vmdevctl("block", "attach", "work", "dom0:\(port)")
        #expect(outcome.status != 0)
        #expect(outcome.errors.contains("dom0:\(port)") || outcome.errors.contains("work"), "\(outcome)")
    }

    @Test(
        "What was not understood is exit status 64",
        arguments: [["frobnicate"], ["block", "attach"], ["block", "--nosuch"]])
    func usage(_ words: [String]) throws {
        let outcome = try run(program("vmdevctl"), ["--root=\(host.root)"] + words)
        #expect(outcome.status == 64, "\(outcome)")
        #expect(!outcome.errors.isEmpty)
    }
}
