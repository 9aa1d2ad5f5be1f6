import Foundation
import Testing

@Suite(
    "Completion",
    needs(Requirement.wholeHost, Requirement.command("zsh", of: "zsh"), Requirement.command("fish", of: "fish")))
struct CompletionTests {
    /// What bash, zsh or fish can load, made as `make install` makes it.
    private func script(for shell: String) throws -> String {
        let generated = try tool(program("vmdevctl"), "--generate-completion-script", shell)
        guard shell == "bash" else { return generated + "\n" }
        let words = packageFolder + "/units/completions/words.bash"
        return generated + "\n" + (try String(contentsOfFile: words, encoding: .utf8))
    }

    @Test("Each shell understands its script", arguments: ["bash", "zsh", "fish"])
    func isUnderstood(_ shell: String) throws {
        let path = temporaryPath(shell)
        defer { try? FileManager.default.removeItem(atPath: path) }
        try script(for: shell).write(toFile: path, atomically: true, encoding: .utf8)
        let outcome = try run(shell, ["-n", path])
        #expect(outcome.status == 0 && outcome.errors == "", "\(outcome)")
    }

    /// What bash offers for a line, typed up to its end.
    private func offered(_ line: String, on host: ScratchHost) throws -> [String] {
        let path = temporaryPath("bash")
        defer { try? FileManager.default.removeItem(atPath: path) }
        let line = line.replacingOccurrences(of: "ROOT", with: "--root=\(host.root)")
        // Bash takes a colon for a word of its own; a blank or a colon at the end begins one more.
        let test = """
            PATH=\((try program("vmdevctl") as NSString).deletingLastPathComponent):$PATH
            COMP_LINE=$LINE COMP_POINT=${#LINE}
            read -ra COMP_WORDS <<<"${LINE//:/ : }"
            [[ $LINE == *[\\ :] ]] && COMP_WORDS+=("")
            COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMPREPLY=()
            _vmdevctl_words
            printf '%s\\n' "${COMPREPLY[@]}"

            """
        try (script(for: "bash") + "LINE='\(line)'\n" + test).write(
            toFile: path, atomically: true, encoding: .utf8)
        let outcome = try run("bash", [path])
        #expect(outcome.status == 0 && outcome.errors == "", "\(outcome)")
        return outcome.output.split(separator: "\n").map(String.init)
    }

    @Test("VMs that run or have assignments, devices that are there, and those that a VM has are offered")
    func offers() throws {
        let host = try ScratchHost()
        let disk = try LoopDisk()
        try host.assign("work block dom0:sdx:usb-A required -", "work usb dom0:2-1 required", "broken line")
        let vm = try VM("media", on: host)
        #expect(try offered("vmdevctl block attach ROOT ", on: host).contains("work"))
        #expect(try offered("vmdevctl check ROOT ", on: host).suffix(2) == ["media", "work"])
        #expect(try offered("vmdevctl check ROOT m", on: host) == ["media"])
        #expect(try offered("vmdevctl block assign ROOT work ", on: host).contains("dom0:\(disk.port)"))
        #expect(try offered("vmdevctl block assign ROOT work dom0:", on: host).contains("\(disk.port)"))
        #expect(try offered("vmdevctl block assign -o ROOT", on: host) == [])
        #expect(try offered("vmdevctl block detach ROOT work ", on: host) == ["dom0:sdx:usb-A"])
        #expect(try offered("vmdevctl block detach ROOT work dom0:sdx:", on: host) == ["usb-A"])
        #expect(try offered("vmdevctl usb unassign ROOT work ", on: host) == ["dom0:2-1"])
        #expect(try offered("qvm-block detach ROOT work ", on: host) == ["dom0:sdx:usb-A"])
        #expect(try offered("qvm-device block detach ROOT work dom0:", on: host) == ["sdx:usb-A"])
        #expect(try offered("vmdevctl pci attach -o no", on: host) == ["no-strict-reset="])
        vm.kill()
    }

    @Test("Where nothing can be found out, nothing is said and nothing offered")
    func isSilent() throws {
        let host = try ScratchHost()
        try host.write("/etc/vmdev/vmdev.conf", "[QEMU]\nQMPTimeoutSec=never\n")
        #expect(try offered("vmdevctl block detach ROOT work ", on: host) == [])
        #expect(try offered("vmdevctl usb info ROOT ", on: host) == [])
    }
}
