import Foundation
import Testing

private let programs = ["vmdev-apply", "vmdevctl", "vmdev-generator", "vmdev-export"]

/// What stands in README, "Whom it trusts", as far as it can be seen from outside.
@Suite("What others wrote stays where it belongs", needs(Requirement.command("nm", of: "binutils")))
struct SecurityTests {
    @Test("No program can start a shell", arguments: programs)
    func noShell(_ name: String) throws {
        let path = try program(name)
        let calls = Set(
            try tool("nm", "-D", "--undefined-only", path).split(separator: "\n").compactMap {
                $0.split(separator: " ").last?.split(separator: "@").first.map(String.init)
            })
        #expect(calls.contains("open") || calls.contains("open64"), "the list is not one of calls")
        #expect(calls.isDisjoint(with: ["system", "popen", "wordexp"]), "\(name)")
        // The others have the text of completions in them, which begins with the name of a shell.
        guard name == "vmdev-generator" else { return }
        #expect(try run("grep", ["-a", "-c", "-e", "/bin/sh", "-e", "/bin/bash", path]).output == "0\n")
    }

    @Test(
        "The name of a VM is never a path",
        arguments: ["../../x", "a/b", "/etc", ".", "..", ".hidden", "", "a b", "a\nb", "a%i", "-x"])
    func names(_ name: String) throws {
        let host = try ScratchHost()
        let before = try everything(below: host.root)
        for words in [["--boot"], ["--check"], ["--release"], []] {
            let outcome = try run(program("vmdev-apply"), words + ["--root=\(host.root)", "--", name])
            #expect(outcome.status == 64, "\(outcome)")
        }
        let outcome = try host.vmdevctl("block", "assign", "--", name, "dom0:sda")
        #expect(outcome.status == 64, "\(outcome)")
        #expect(try everything(below: host.root) == before)
    }

    @Test(
        "A port is never a path",
        arguments: [
            "block dom0:../sda", "block dom0:/dev/sda", "usb dom0:1-1/..", "pci dom0:00:1f.2/x", "mic dom0:mic/..",
        ])
    func ports(_ text: String) throws {
        let host = try ScratchHost()
        let words = text.split(separator: " ").map(String.init)
        let outcome = try host.vmdevctl(words[0], "assign", "work", words[1])
        #expect(outcome.status == 64, "\(outcome)")
        // By hand it can be written into the table: then the VM does not start.
        try host.assign("work \(text) required -")
        #expect(try host.apply("work", "--check").status == 65)
        #expect(host.read("/etc/vmdev/assignments") == "work \(text) required -\n")
    }

    @Test("A table that others may write is no more readable or writable after an edit")
    func permissions() throws {
        let host = try ScratchHost()
        try host.assign("# mine")
        let path = host.root + "/etc/vmdev/assignments"
        for mode in [0o600, 0o640, 0o644] {
            try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
            let device = "dom0:*:/srv/\(mode)"
            try host.assign("# \(mode)", "work block \(device) required -")
            try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
            #expect(try host.vmdevctl("block", "unassign", "work", device).status == 0)
            let found = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
            #expect(found == mode)
        }
    }

    private func everything(below root: String) throws -> [String] {
        try FileManager.default.subpathsOfDirectory(atPath: root).filter {
            !$0.hasPrefix("dev") && !$0.hasPrefix("sys")
        }
        .sorted()
    }
}
