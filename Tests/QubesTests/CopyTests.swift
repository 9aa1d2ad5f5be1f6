import Applying
import Assignments
import Devices
import Foundation
import Hypervisors
import Platform
import Settings
import TestSupport
import Testing

@Suite("The copy of what qubesd keeps")
struct CopyTests {
    @Test("It has all VMs' assignments in the form of the table, and is only written when they change")
    func copy() throws {
        let qubesd = try standIn()
        qubesd.with { model in
            model.domains["work"]?.assigned["usb"] = [
                QubesModel.Link("sys-usb", "2-1", "1050:0407:1:u030101"),
                QubesModel.Link("sys-usb", "2-2", mode: "ask-to-attach"),
            ]
            model.domains["vault"]?.assigned["block"] = [QubesModel.Link("sys-usb", "sda", mode: "auto-attach")]
        }
        let host = Applying.Host(root: qubesd.root, settings: Settings())
        try host.keepCopy()
        let copy = AssignmentCopy(root: qubesd.root)
        let stored = try host.store.allAssignments().assignments.filter { $0.mode != .askToAttach }
        #expect(Set(try copy.table.allAssignments().assignments) == Set(stored))
        #expect(try copy.table.allAssignments().problems.isEmpty)
        #expect(try !copy.replace(with: stored))
        #expect(try copy.replace(with: []))
        #expect(try copy.table.allAssignments() == TableReading())
    }

    @Test("On another host there is none")
    func none() throws {
        let root = Root("/tmp/vmdev-copy-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(atPath: root.prefix) }
        try Applying.Host(root: root, settings: Settings()).keepCopy()
        #expect(!FileManager.default.fileExists(atPath: root.path("/var/lib/vmdev")))
    }
}
