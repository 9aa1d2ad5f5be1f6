import Applying
import Devices
import Foundation
import Hypervisors
import Platform
import Qubes
import Settings
import TestSupport
import Testing

/// A dom0 with our programs: `work` is halted and is to be started.
final class Dom0 {
    let qubesd: QubesdStandIn
    let reporter = Recorder()
    private let settings: String

    init(_ release: QubesModel.Release = .r43, settings: String = "") throws {
        qubesd = try standIn(release)
        self.settings = settings
        qubesd.with { model in
            model.domains["sys-usb"]?.exposed["block"]?.append(QubesModel.Exposed("sdb", "disk-b"))
            model.domains["media"] = QubesModel.Domain(state: "Running")
        }
        let folder = qubesd.root.path("/etc/vmdev")
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try "[Host]\nHypervisor=qubes\n\(settings)".write(
            toFile: folder + "/vmdev.conf", atomically: true, encoding: .utf8)
    }

    func assign(_ kind: String, _ links: QubesModel.Link..., to vm: String = "work") {
        qubesd.with { $0.domains[vm]?.assigned[kind, default: []] += links }
    }

    /// `media` has a device.
    func giveAway(_ kind: String, _ port: String, _ identity: String) {
        qubesd.with {
            $0.domains["media"]?.attached[kind] = [QubesModel.Link("sys-usb", port, identity, mode: "manual")]
        }
    }

    func applier() throws -> Applier {
        Applier(Applying.Host(root: qubesd.root, settings: try Settings(root: qubesd.root)), reporter: reporter)
    }

    /// ExecStartPre=
    func prepare(startingSources: Bool = false) throws -> Sysexit {
        try applier().prepare(work, startingSources: startingSources)
    }

    /// ExecStart= as Qubes OS has it, then ExecStartPost=
    func finish(without missing: Set<String> = []) throws -> Sysexit {
        qubesd.with { $0.boot("work", without: missing) }
        return try applier().apply(to: work, on: .boot)
    }

    /// Both; the VM must be halted where either fails.
    func boot(without missing: Set<String> = []) throws -> Sysexit {
        let status = try prepare()
        guard status == .success else { return status }
        return try finish(without: missing)
    }

    var state: String { qubesd.with { $0.domains["work"]?.state ?? "" } }
    var failures: [String] { reporter.texts(.failed) }

    func attached(_ kind: String) -> [String] {
        qubesd.with { $0.domains["work"]?.attached[kind] ?? [] }.map { "\($0.source):\($0.port)" }
    }
}

private let key = "1050:0407:1:u030101"

@Suite("Starting a VM of Qubes OS")
struct BootTests {
    @Test("All four classes arrive, and are told", arguments: [QubesModel.Release.r43, .r44], [false, true])
    func complete(release: QubesModel.Release, untidy: Bool) throws {
        let dom0 = try Dom0(release)
        dom0.qubesd.with { $0.isUntidy = untidy }
        dom0.assign("usb", QubesModel.Link("sys-usb", "2-1", key))
        dom0.assign("block", QubesModel.Link("sys-usb", "sda"))
        dom0.assign("mic", QubesModel.Link("dom0", "mic"))
        dom0.assign("pci", QubesModel.Link("dom0", "00_1f.2"))
        #expect(try dom0.boot() == .success)
        #expect(dom0.reporter.kinds == Array(repeating: .alreadyAttached, count: 4) + [.complete])
        #expect(dom0.state == "Running")
    }

    @Test("A VM without assignments starts, whatever qubesd says of it")
    func nothing() throws {
        let dom0 = try Dom0()
        #expect(try dom0.boot() == .success)
        #expect(dom0.reporter.kinds.isEmpty)
    }

    // MARK: What Qubes OS starts all the same

    @Test("A USB device that another VM has: the VM is not started, and it is said who has it")
    func takenUSB() throws {
        let dom0 = try Dom0()
        dom0.assign("usb", QubesModel.Link("sys-usb", "2-1", key))
        dom0.giveAway("usb", "2-1", key)
        #expect(try dom0.boot() == .taken)
        #expect(dom0.failures.first?.contains("usb device sys-usb:2-1 is attached to VM media.") == true)
        #expect(dom0.state == "Halted")
    }

    @Test("A USB device that another VM takes while this one starts: the VM is ended")
    func takenMeanwhile() throws {
        let dom0 = try Dom0()
        dom0.assign("usb", QubesModel.Link("sys-usb", "2-1", key))
        #expect(try dom0.prepare() == .success)
        dom0.giveAway("usb", "2-1", key)
        #expect(try dom0.finish() == .taken)
        #expect(dom0.failures.first?.contains("is attached to VM media") == true)
        #expect(dom0.state == "Halted")
    }

    @Test(
        "qubes.USBAttach fails: it is tried once more by us, and the VM is ended with qubesd's own words",
        arguments: [
            ("QubesException", "Device attach failed: usbip: timed out", Sysexit.refused),
            ("USBProxyNotInstalled", "qubes-usb-proxy not installed in the VM", .tableWrong),
        ])
    func attachFails(type: String, message: String, status: Sysexit) throws {
        let dom0 = try Dom0()
        dom0.assign("usb", QubesModel.Link("sys-usb", "2-1", key))
        dom0.qubesd.with { $0.domains["work"]?.attachFails = (type, message) }
        #expect(try dom0.boot(without: ["2-1"]) == status)
        #expect(dom0.failures.first?.contains(message) == true, "\(dom0.failures)")
        #expect(dom0.state == "Halted")
        #expect(dom0.reporter.kinds.last == .startRefused)
    }

    @Test("What did not arrive by itself is attached, under the eyes of a deny list, and verified")
    func missingIsAttached() throws {
        let dom0 = try Dom0()
        dom0.assign("usb", QubesModel.Link("sys-usb", "2-1"))
        dom0.qubesd.with { $0.domains["work"]?.hasDenyList = true }
        #expect(try dom0.boot(without: ["2-1"]) == .success)
        #expect(dom0.attached("usb") == ["sys-usb:2-1"])
        #expect(dom0.reporter.kinds == [.attached, .complete])
    }

    @Test(
        "An Attach that says yes and attaches nothing ends the VM", arguments: ["usb sys-usb 2-1", "mic dom0 mic"])
    func silentAttach(device: String) throws {
        let dom0 = try Dom0()
        let words = device.split(separator: " ").map(String.init)
        dom0.assign(words[0], QubesModel.Link(words[1], words[2]))
        dom0.qubesd.with { $0.domains["work"]?.attachesNothing = true }
        #expect(try dom0.boot(without: [words[2]]) == .refused)
        #expect(dom0.failures.first?.contains("does not have \(words[1]):\(words[2]) among its devices") == true)
        #expect(dom0.state == "Halted")
    }

    @Test(
        "A microphone without AudioVM, or with one that is down: not started",
        arguments: [("", "has no AudioVM"), ("vault", "AudioVM vault is not running (halted)")])
    func noAudio(audioVM: String, words: String) throws {
        let dom0 = try Dom0()
        dom0.assign("mic", QubesModel.Link("dom0", "mic"))
        dom0.qubesd.with { $0.domains["work"]?.properties["audiovm"] = audioVM }
        #expect(try dom0.boot() == .tableWrong)
        #expect(dom0.failures.first?.contains(words) == true, "\(dom0.failures)")
        #expect(dom0.state == "Halted")
    }

    @Test("ask-to-attach with nobody on the desktop to ask: not started; with somebody it is left to them")
    func asking() throws {
        let dom0 = try Dom0()
        dom0.assign("usb", QubesModel.Link("sys-usb", "2-1", mode: "ask-to-attach"))
        #expect(try dom0.boot() == .tableWrong)
        let text = try #require(dom0.reporter.outcomes.first { $0.reason == .agentMissing }?.message)
        #expect(text.contains("nobody is there to ask"))
        #expect(dom0.reporter.outcomes.first?.kind == .failed)
        #expect(dom0.state == "Halted")

        let folder = dom0.qubesd.root.path("/var/run/qubes")
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try "".write(toFile: folder + "/device-agent.GUI", atomically: true, encoding: .utf8)
        #expect(try dom0.boot() == .success)
        #expect(dom0.attached("usb").isEmpty)
    }

    @Test("A device that is not there is not asked about, and keeps nobody from starting")
    func askingLater() throws {
        let dom0 = try Dom0()
        dom0.assign("usb", QubesModel.Link("sys-usb", "2-2", mode: "ask-to-attach"))
        #expect(try dom0.boot() == .success)
    }

    @Test("A read-only disk that would be given for writing: not started, and verified after a start")
    func readOnly() throws {
        let dom0 = try Dom0()
        dom0.qubesd.with {
            $0.domains["sys-usb"]?.exposed["block"]?[1].properties = [QubesRow.Property("mode", "r")]
        }
        dom0.assign("block", QubesModel.Link("sys-usb", "sdb"))
        #expect(try dom0.boot() == .tableWrong)
        #expect(dom0.failures.first?.contains("does not say read-only=yes") == true, "\(dom0.failures)")
        #expect(dom0.state == "Halted")

        let readOnly = [QubesRow.Property("read-only", "yes")]
        dom0.qubesd.with { $0.domains["work"]?.assigned["block"]?[0].options = readOnly }
        #expect(try dom0.prepare() == .success)
        dom0.qubesd.with { model in
            model.boot("work", without: ["sdb"])
            model.domains["work"]?.attached["block"] = [
                QubesModel.Link("sys-usb", "sdb", "disk-b", mode: "manual", [QubesRow.Property("read-only", "no")])
            ]
        }
        #expect(try dom0.finish(without: ["sdb"]) == .refused)
        #expect(dom0.failures.last?.contains("is attached, but for writing") == true)
        #expect(dom0.state == "Halted")
    }

    @Test("Options that Qubes OS takes and cannot honour: not started", arguments: ["bogus!", "hda"])
    func options(name: String) throws {
        let dom0 = try Dom0()
        dom0.assign("block", QubesModel.Link("sys-usb", "sda", "*", [QubesRow.Property("frontend-dev", name)]))
        #expect(try dom0.boot() == .tableWrong)
        #expect(dom0.failures.first?.contains("'\(name)' is not a valid value of frontend-dev") == true)
        #expect(dom0.state == "Halted")
    }

    @Test("A disk that another VM has, as a whole or by its partition: not started, in words")
    func takenDisk() throws {
        for (port, parent, other) in [("sdb", nil, "sdb"), ("sdb", "sdb", "sdb1"), ("sdb1", "sdb", "sdb")] {
            let dom0 = try Dom0()
            dom0.qubesd.with { model in
                let properties = parent.map {
                    [QubesRow.Property("parent_port_id", $0), QubesRow.Property("parent_devclass", "block")]
                }
                model.domains["sys-usb"]?.exposed["block"]?.append(
                    QubesModel.Exposed("sdb1", "part-1", properties ?? []))
            }
            dom0.assign("block", QubesModel.Link("sys-usb", port))
            dom0.giveAway("block", other, other == "sdb" ? "disk-b" : "part-1")
            #expect(try dom0.boot() == .taken, "\(port) \(other)")
            #expect(dom0.failures.first?.contains("sys-usb:\(port) is attached to VM media") == true)
            #expect(dom0.state == "Halted")
        }
    }

    @Test("Source halted, no device, another device, a device that moved: four texts, and all in one report")
    func unavailable() throws {
        let dom0 = try Dom0()
        dom0.qubesd.with { model in
            model.domains["sys-net"] = QubesModel.Domain()
            model.domains["sys-usb"]?.exposed["usb"]?.append(QubesModel.Exposed("2-3", "aaaa:bbbb:2:u030102"))
        }
        dom0.assign(
            "usb", QubesModel.Link("sys-net", "1-1"), QubesModel.Link("sys-usb", "2-9"),
            QubesModel.Link("sys-usb", "2-1", "0000:1111:x:u0"),
            QubesModel.Link("sys-usb", "2-2", "aaaa:bbbb:2:u030102"))
        #expect(try dom0.boot() == .unavailable)
        #expect(dom0.state == "Halted")
        let texts = dom0.failures
        try #require(texts.count == 4, "\(texts)")
        #expect(texts.contains { $0.contains("source VM sys-net is not running (halted)") })
        #expect(texts.contains { $0.contains("found nothing in port 2-9") })
        #expect(texts.contains { $0.contains("expected 0000:1111:x:u0, but sys-usb:2-1 is \(key)") })
        #expect(texts.contains { $0.contains("it is at sys-usb:2-3 now") && !$0.contains("follow=no") })
    }

    // MARK: More that has to be known before

    @Test("Two required disks without a name would both be xvdi: not started; with names both arrive")
    func namesakes() throws {
        let dom0 = try Dom0()
        dom0.assign("block", QubesModel.Link("sys-usb", "sda"), QubesModel.Link("sys-usb", "sdb"))
        #expect(try dom0.boot() == .tableWrong)
        #expect(dom0.failures.first?.contains("sys-usb:sdb would be xvdi in it as well as sys-usb:sda") == true)
        dom0.qubesd.with {
            $0.domains["work"]?.assigned["block"]?[1].options = [QubesRow.Property("frontend-dev", "xvdj")]
        }
        #expect(try dom0.boot() == .success)
        #expect(dom0.attached("block").count == 2)
    }

    @Test("A block port is not pinned to an identity that nobody assigned")
    func fragileIdentity() throws {
        let dom0 = try Dom0()
        dom0.assign("block", QubesModel.Link("sys-usb", "sda"))
        dom0.qubesd.with { $0.domains["sys-usb"]?.exposed["block"]?[0].identity = "1-1:other:parent:1" }
        #expect(try dom0.boot() == .success)
    }

    @Test("Options of ours that qubesd does not know are refused before the start")
    func foreignOption() throws {
        let dom0 = try Dom0()
        dom0.assign("usb", QubesModel.Link("sys-usb", "2-1", "*", [QubesRow.Property("timeout", "5s")]))
        #expect(try dom0.boot() == .tableWrong)
        #expect(dom0.failures.first?.contains("timeout cannot be honoured on Qubes OS") == true)
    }

    @Test("A release before 4.3 with stored devices is refused, and one without starts")
    func oldRelease() throws {
        let dom0 = try Dom0(.r42)
        #expect(try dom0.boot() == .success)
        dom0.qubesd.with { $0.domains["work"]?.state = "Halted" }
        dom0.assign("block", QubesModel.Link("sys-usb", "sda"))
        #expect(try dom0.boot() == .tableWrong)
        #expect(dom0.failures.first?.contains("older than 4.3") == true)
        #expect(dom0.state == "Halted")
    }

    @Test("PCI is given only at a start: what is not there after it ends the VM; a pvh VM is not started")
    func pci() throws {
        let dom0 = try Dom0()
        dom0.assign("pci", QubesModel.Link("dom0", "00_1f.2"))
        #expect(try dom0.boot(without: ["00_1f.2"]) == .refused)
        #expect(dom0.failures.first?.contains("only to a VM that is being started") == true)
        #expect(dom0.state == "Halted")
        #expect(!dom0.qubesd.heard.contains { $0.contains("pci.Attach+") })
        dom0.qubesd.with { $0.domains["work"]?.properties["virt_mode"] = "pvh" }
        #expect(try dom0.boot() == .tableWrong)
        #expect(dom0.failures.last?.contains("virt_mode is pvh") == true)
    }

    @Test("A qubesd that hangs: the start fails in time, before and after", arguments: [false, true])
    func hangs(isStarted: Bool) throws {
        let dom0 = try Dom0(settings: "[Qubes]\nTimeoutSec=300ms\n")
        dom0.assign("usb", QubesModel.Link("sys-usb", "2-1"))
        if isStarted { #expect(try dom0.prepare() == .success) }
        dom0.qubesd.script("admin.vm.device.usb.A", .hangs(after: 0))
        #expect(try isStarted ? dom0.finish() == .unreachable : dom0.prepare() == .unreachable)
        #expect(dom0.state == "Halted", "a VM of which nothing is known is ended")
    }

    @Test("An optional device that is not there is a warning, and the VM starts")
    func optional() throws {
        let dom0 = try Dom0()
        dom0.assign("usb", QubesModel.Link("sys-usb", "2-9", mode: "auto-attach"))
        #expect(try dom0.boot() == .success)
        #expect(dom0.reporter.kinds.contains(.skipped))
        #expect(!dom0.reporter.kinds.contains(.failed))
    }

    @Test("A VM that was up before its unit came is not ended for what it lacks")
    func upBefore() throws {
        let dom0 = try Dom0()
        // Others have been started by us before.
        dom0.assign("usb", QubesModel.Link("sys-usb", "2-1"), to: "vault")
        #expect(try dom0.applier().prepare(VMName("vault"), startingSources: false) == .success)
        dom0.qubesd.with { $0.domains["work"]?.state = "Running" }
        dom0.assign("usb", QubesModel.Link("sys-usb", "2-9"))
        #expect(try dom0.prepare() == .success)
        #expect(try dom0.finish() == .unavailable, "its unit fails")
        #expect(dom0.state == "Running")
        #expect(dom0.reporter.kinds.last == .leftAlone)
    }

    // MARK: Source VMs

    @Test("With StartSourceVM=yes a halted source is started, and its devices are waited for")
    func startsSource() throws {
        let dom0 = try Dom0()
        dom0.qubesd.with { model in
            let devices = model.domains["sys-usb"]?.exposed ?? [:]
            model.domains["sys-usb"] = QubesModel.Domain()
            model.domains["sys-usb"]?.late = devices
        }
        dom0.assign("usb", QubesModel.Link("sys-usb", "2-1"))
        #expect(try dom0.prepare() == .unavailable, "it is not started without being told")
        // The stick is there a moment after somebody listens for it.
        dom0.qubesd.onEvents { qubesd in
            qubesd.with { model in
                let devices = model.domains["sys-usb"]?.late ?? [:]
                model.domains["sys-usb"]?.exposed = devices
            }
            qubesd.happen("sys-usb", "device-list-change:usb")
        }
        #expect(try dom0.prepare(startingSources: true) == .success, "\(dom0.failures)")
        #expect(dom0.reporter.kinds.contains(.sourceStarted))
        #expect(try dom0.finish() == .success)
    }

    @Test("A source that cannot be started is named with qubesd's reason; nothing is started for a wrong row")
    func sourceFails() throws {
        let dom0 = try Dom0()
        dom0.qubesd.with { $0.domains["sys-usb"]?.state = "Halted" }
        dom0.qubesd.script(
            "admin.vm.Start+ sys-usb", .raises("QubesException", "PCI device 00_14.0 does not exist"))
        dom0.assign("usb", QubesModel.Link("sys-usb", "2-1"))
        #expect(try dom0.prepare(startingSources: true) == .unavailable)
        let text = try #require(dom0.failures.first)
        #expect(text.contains("source VM sys-usb could not be started: PCI device 00_14.0 does not exist"))
        dom0.qubesd.forget()
        dom0.assign("block", QubesModel.Link("sys-usb", "sda", "*", [QubesRow.Property("frontend-dev", "!")]))
        #expect(try dom0.prepare(startingSources: true) == .tableWrong)
        #expect(!dom0.qubesd.heard.contains { $0.hasPrefix("admin.vm.Start") })
    }
}
