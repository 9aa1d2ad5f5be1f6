import Applying
import Assignments
import Control
import Devices
import Hypervisors
import TestSupport
import Testing

@Suite("Attach, assign, detach, unassign")
struct AssigningTests {
    let host: FakeHost
    let work: VMName

    init() throws {
        host = try FakeHost()
        work = try VMName("work")
        host.source.set([try disk("sda", identity: "usb-A"), try disk("sdb")])
    }

    private var controller: Controller {
        Controller(
            applier: host.applier, store: host.store, sources: [host.source], hypervisor: host.simulator,
            locks: host.locks)
    }

    private func reference(_ text: String) throws -> DeviceReference {
        try DeviceReference(parsing: text, of: .block)
    }

    private var stored: [String] {
        get throws {
            try host.store.allAssignments().assignments.map {
                "\($0.target) \($0.device) \($0.mode) \($0.options.summary)".trimmed
            }
        }
    }

    @Test("attach --persistent on a VM that does not run stores port and identity")
    func persistentHalted() throws {
        let notes = try controller.attach(try reference("dom0:sda"), to: work, options: .none, persistent: true)
        #expect(try stored == ["work dom0:sda:usb-A required"])
        #expect(notes.count == 1)
    }

    @Test("attach --persistent on a running VM attaches and stores")
    func persistentRunning() throws {
        host.simulator.add(work, state: .running)
        _ = try controller.attach(try reference("dom0:sdb"), to: work, options: .none, persistent: true)
        #expect(host.simulator.attached(to: work).count == 1)
        #expect(try stored == ["work dom0:sdb required"])
    }

    @Test("attach on a VM that does not run says what to do, and stores nothing")
    func notRunning() throws {
        let failure = #expect(throws: Failure.self) {
            try controller.attach(try reference("dom0:sda"), to: work, options: .none, persistent: false)
        }
        #expect(failure?.status == .unreachable)
        #expect(failure?.text.contains("--persistent") == true)
        #expect(try stored.isEmpty)
    }

    @Test("What cannot be attached to a running VM is not stored either")
    func failedIsNotStored() throws {
        host.simulator.add(work, state: .running)
        host.simulator.script(
            work, .refuses(AttachmentID(port: try Port("sda", of: .block)), HypervisorError(.refused, "no")))
        let failure = #expect(throws: Failure.self) {
            try controller.attach(try reference("dom0:sda"), to: work, options: .none, persistent: true)
        }
        #expect(failure?.status == .refused)
        #expect(try stored.isEmpty)
        #expect(try host.locks.live().isEmpty)
    }

    @Test("Attached already, but otherwise than asked for, is no success")
    func attachedOtherwise() throws {
        host.simulator.add(work, state: .running)
        _ = try controller.attach(try reference("dom0:sda"), to: work, options: .none, persistent: false)
        _ = try controller.attach(try reference("dom0:sda"), to: work, options: .none, persistent: false)
        let readOnly = try DeviceOptions([("read-only", "yes")], of: .block)
        let failure = #expect(throws: Failure.self) {
            try controller.attach(try reference("dom0:sda"), to: work, options: readOnly, persistent: false)
        }
        #expect(failure?.status == .refused)
        #expect(host.simulator.attached(to: work).count == 1, "and it is left as it is")
    }

    @Test("A device that is not there cannot be attached, but assigned, and that is said")
    func absent() throws {
        let failure = #expect(throws: Failure.self) {
            try controller.attach(try reference("dom0:sdx"), to: work, options: .none, persistent: true)
        }
        #expect(failure?.status == .unavailable)
        let note = try controller.assign(
            try reference("dom0:sdx"), to: work, mode: .required, options: .none, pin: .both)
        #expect(note.contains("not there now"))
        #expect(try stored == ["work dom0:sdx required"])
    }

    @Test(
        "assign pins down what was asked for",
        arguments: [
            (Controller.Pin.both, "dom0:sda", "dom0:sda:usb-A"), (.port, "dom0:sda", "dom0:sda"),
            (.port, "dom0:sda:usb-A", "dom0:sda"), (.port, "dom0:*:usb-A", "dom0:sda"),
            (.identity, "dom0:sda", "dom0:*:usb-A"), (.both, "dom0:*:usb-A", "dom0:*:usb-A"),
            (.both, "dom0:sdb", "dom0:sdb"), (.both, "host:sda", "dom0:sda:usb-A"),
        ])
    func pins(pin: Controller.Pin, wanted: String, expected: String) throws {
        _ = try controller.assign(try reference(wanted), to: work, mode: .autoAttach, options: .none, pin: pin)
        #expect(try stored == ["work \(expected) auto-attach"])
    }

    @Test("A device without identity cannot be assigned by it")
    func noIdentity() throws {
        let failure = #expect(throws: Failure.self) {
            try controller.assign(
                try reference("dom0:sdb"), to: work, mode: .required, options: .none, pin: .identity)
        }
        #expect(failure?.text.contains("--port") == true)
        #expect(try stored.isEmpty)
    }

    @Test("An option that the hypervisor cannot honour is refused when it is given")
    func unsupportedOption() throws {
        let options = try DeviceOptions([("frontend-dev", "xvdi")], of: .block)
        for persistent in [true, false] {
            #expect(throws: Failure.self) {
                try controller.attach(
                    try reference("dom0:sda"), to: work, options: options, persistent: persistent)
            }
        }
        #expect(throws: Failure.self) {
            try controller.assign(
                try reference("dom0:sda"), to: work, mode: .required, options: options, pin: .both)
        }
        #expect(try stored.isEmpty)
    }

    @Test("The same device in other words is not assigned twice")
    func doubled() throws {
        _ = try controller.assign(try reference("dom0:sda"), to: work, mode: .required, options: .none, pin: .port)
        #expect(throws: Failure.self) {
            try controller.assign(try reference("dom0:sda"), to: work, mode: .required, options: .none, pin: .both)
        }
        #expect(try stored == ["work dom0:sda required"])
    }

    @Test("The host cannot be given a device, and a VM not its own", arguments: ["dom0", "sys-usb"])
    func targets(name: String) throws {
        let text = name == "dom0" ? "dom0:sda" : "sys-usb:sda"
        #expect(throws: Failure.self) {
            try controller.assign(
                try reference(text), to: try VMName(name), mode: .required, options: .none, pin: .both)
        }
    }

    @Test("detach ends the attachment and the assignment")
    func detach() throws {
        host.simulator.add(work, state: .running)
        _ = try controller.attach(try reference("dom0:sda"), to: work, options: .none, persistent: true)
        _ = try controller.attach(try reference("dom0:sdb"), to: work, options: .none, persistent: true)
        _ = try controller.detach(try reference("dom0:sda"), of: .block, from: work)
        #expect(host.simulator.attached(to: work).values.map(\.port.description) == ["sdb"])
        #expect(try stored == ["work dom0:sdb required"])
        #expect(try host.locks.live().map(\.device.description) == ["dom0:sdb"])
    }

    @Test("detach without a device ends all of the class")
    func detachAll() throws {
        host.simulator.add(work, state: .running)
        _ = try controller.attach(try reference("dom0:sda"), to: work, options: .none, persistent: true)
        _ = try controller.attach(try reference("dom0:sdb"), to: work, options: .none, persistent: false)
        _ = try controller.detach(nil, of: .block, from: work)
        #expect(host.simulator.attached(to: work).isEmpty)
        #expect(try stored.isEmpty)
        #expect(try host.locks.live().isEmpty)
    }

    @Test("detach works when the device has gone, and when the VM does not run (9826)", arguments: [true, false])
    func detachGone(running: Bool) throws {
        if running { host.simulator.add(work, state: .running) }
        _ = try controller.attach(try reference("dom0:sda"), to: work, options: .none, persistent: true)
        host.source.set([])
        _ = try controller.detach(try reference("dom0:sda"), of: .block, from: work)
        #expect(host.simulator.attached(to: work).isEmpty)
        #expect(try stored.isEmpty)
    }

    @Test("A guest that does not let go keeps device and assignment")
    func detachRefused() throws {
        host.simulator.add(work, state: .running)
        _ = try controller.attach(try reference("dom0:sda"), to: work, options: .none, persistent: true)
        host.simulator.script(work, .keeps(AttachmentID(port: try Port("sda", of: .block))))
        let failure = #expect(throws: Failure.self) {
            try controller.detach(try reference("dom0:sda"), of: .block, from: work)
        }
        #expect(failure?.status == .refused)
        #expect(try stored.count == 1)
        #expect(try host.locks.live().count == 1)
    }

    @Test("What the VM does not have is no success", arguments: [true, false])
    func nothingThere(detach: Bool) throws {
        let failure = #expect(throws: Failure.self) {
            if detach {
                _ = try controller.detach(try reference("dom0:sda"), of: .block, from: work)
            } else {
                _ = try controller.unassign(try reference("dom0:sda"), of: .block, from: work)
            }
        }
        #expect(failure?.status == .unavailable)
    }

    @Test("unassign leaves a running VM what it has")
    func unassign() throws {
        host.simulator.add(work, state: .running)
        _ = try controller.attach(try reference("dom0:sda"), to: work, options: .none, persistent: true)
        #expect(try controller.unassign(try reference("dom0:sda"), of: .block, from: work).count == 1)
        #expect(host.simulator.attached(to: work).count == 1)
        #expect(try stored.isEmpty)
    }
}

extension String {
    fileprivate var trimmed: String { hasSuffix(" ") ? String(dropLast()) : self }
}
