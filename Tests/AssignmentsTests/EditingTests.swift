import Devices
import Foundation
import Platform
import TestSupport
import Testing

@testable import Assignments

@Suite struct EditingTests {
    @Test("The first assignment makes the table and its folder, readable by all and writable by root")
    func firstAssignment() throws {
        let host = try TestHost()
        #expect(try host.table.add(row("work block dom0:sda1:usb-Stick required read-only=yes")) == .added)
        #expect(try host.text == "work block dom0:sda1:usb-Stick required read-only=yes\n")
        #expect(try FileStatus.ofEntry(host.tablePath)?.permissions == 0o644)
        for folder in ["/etc/vmdev", "/run/vmdev"] {
            #expect(try FileStatus.ofEntry(host.path(folder))?.permissions == 0o755)
        }
        #expect(try FileStatus.ofEntry(host.path("/run/vmdev/table.lock"))?.permissions == 0o600)
        #expect(try host.entries == ["assignments"])
    }

    @Test("Taking something away from a table that is not there makes none")
    func removeFromNothing() throws {
        let host = try TestHost()
        let removed = try host.table.remove { _ in true }
        #expect(removed == [])
        #expect(try FileStatus.ofEntry(host.path("/etc")) == nil)
    }

    struct Edit: CustomTestStringConvertible {
        let before: String
        let row: String
        let outcome: AddOutcome
        let after: String
        init(_ before: String, add row: String, _ outcome: AddOutcome, _ after: String) {
            self.before = before
            self.row = row
            self.outcome = outcome
            self.after = after
        }
        var testDescription: String { before.debugDescription }
    }

    private static let added = "work mic dom0:mic required"
    private static let line = "work mic dom0:mic required -"

    @Test(
        "An assignment that is new gets a line at the end, and what was there stays",
        arguments: [
            Edit("", add: added, .added, "\(line)\n"),
            Edit("# mine\n\n", add: added, .added, "# mine\n\n\(line)\n"),
            Edit("# no end", add: added, .added, "# no end\n\(line)\n"),
            Edit("# dos\r\n", add: added, .added, "# dos\r\n\(line)\r\n"),
            Edit("# dos\r\n# no end", add: added, .added, "# dos\r\n# no end\r\n\(line)\r\n"),
            Edit("# dos\r\n# half\r", add: added, .added, "# dos\r\n# half\r\n\(line)\r\n"),
            Edit("\u{feff}# x\n", add: added, .added, "\u{feff}# x\n\(line)\n"),
            Edit("\n", add: added, .added, "\n\(line)\n"),
            Edit("media  mic dom0:mic\trequired\n", add: added, .added, "media  mic dom0:mic\trequired\n\(line)\n"),
            Edit("media rubbish\0\n", add: added, .added, "media rubbish\0\n\(line)\n"),
            Edit("work rubbish\n", add: added, .added, "work rubbish\n\(line)\n"),
            Edit(
                "# work mic dom0:mic required -\n", add: added, .added, "# work mic dom0:mic required -\n\(line)\n"),
            Edit(
                "work mic dom0:mic-0-0 required\n", add: added, .added, "work mic dom0:mic-0-0 required\n\(line)\n"),
        ])
    func add(_ edit: Edit) throws { try check(edit) }

    @Test("Another mode or other options are changed in their line; the same ones write nothing")
    func change() throws {
        let old = try row("work block dom0:sda1 required read-only=yes")
        let new = "work block dom0:sda1 auto-attach devtype=cdrom"
        let changed = AddOutcome.changed(from: old)
        let so = AddOutcome.alreadySo
        for edit in [
            Edit(
                "# a\n work\tblock  host:sda1   required read-only=1 \r\n# b", add: new, changed,
                "# a\n work\tblock  host:sda1   auto-attach devtype=cdrom\r\n# b"),
            Edit(
                "work block dom0:sda1 required read-only=yes", add: new, changed,
                "work block dom0:sda1 auto-attach devtype=cdrom"),
            Edit(
                "work block dom0:sda1 required read-only=yes\n", add: "work block dom0:sda1 required", changed,
                "work block dom0:sda1 required -\n"),
            Edit(
                "work x\nwork block dom0:sda1 required read-only=yes\n# c\nwork block dom0:sda1 required -\n# d",
                add: new,
                changed, "work x\nwork block dom0:sda1 auto-attach devtype=cdrom\n# c\n# d"),
            Edit(
                " work block host:sda1 required\r\n", add: "work block dom0:sda1 required", so,
                " work block host:sda1 required\r\n"),
            Edit(
                "work block dom0:sda1 required devtype=disk,read-only=on",
                add:
                    "work block dom0:sda1 required read-only=yes,devtype=disk", so,
                "work block dom0:sda1 required devtype=disk,read-only=on"),
        ] { try check(edit) }
    }

    private func check(_ edit: Edit) throws {
        let host = try TestHost(edit.before)
        let before = try FileStatus.ofEntry(host.tablePath)
        #expect(try host.table.add(row(edit.row)) == edit.outcome)
        #expect(try host.text == edit.after)
        if edit.outcome == .alreadySo { #expect(try FileStatus.ofEntry(host.tablePath) == before) }
        // Whoever adds the same again finds it.
        #expect(try host.table.add(row(edit.row)) == .alreadySo)
        #expect(try host.entries == ["assignments"])
    }

    @Test("What is removed is answered, and only its lines go")
    func remove() throws {
        let host = try TestHost(
            "# a\nwork mic dom0:mic required\nmedia mic dom0:mic required\r\nwork usb dom0:1-1 required\nwork mic host:mic auto-attach\nwork !"
        )
        let removed = try host.table.remove { $0.target.description == "work" && $0.device.deviceClass == .mic }
        #expect(removed == [try row("work mic dom0:mic required")])
        #expect(try host.text == "# a\nmedia mic dom0:mic required\r\nwork usb dom0:1-1 required\nwork !")
        let before = try FileStatus.ofEntry(host.tablePath)
        let again = try host.table.remove { $0.device.deviceClass == .mic && $0.target.description == "work" }
        #expect(again == [])
        #expect(try FileStatus.ofEntry(host.tablePath) == before)
        let rest = try host.table.remove { _ in true }
        #expect(rest.count == 2)
        #expect(try host.text == "# a\nwork !")
    }

    @Test("Owner, group and mode stay as they were", .enabled(if: getuid() == 0, "needs root"))
    func owner() throws {
        let host = try TestHost("# x\n")
        try #require(chown(host.tablePath, 12345, 23456) == 0)
        try #require(chmod(host.tablePath, 0o640) == 0)
        #expect(try host.table.add(row("work mic dom0:mic required")) == .added)
        let status = try #require(try FileStatus.ofEntry(host.tablePath))
        #expect(status.owner == 12345)
        #expect(status.group == 23456)
        #expect(status.permissions == 0o640)
    }

    @Test("A table that is a link stays one, and the file that it leads to is changed", arguments: [true, false])
    func link(isRelative: Bool) throws {
        let host = try TestHost("# x\n")
        let folder = host.path("/srv/vm")
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try FileManager.default.moveItem(atPath: host.tablePath, toPath: folder + "/table")
        try FileManager.default.createSymbolicLink(atPath: folder + "/link", withDestinationPath: "table")
        let target = isRelative ? "../../srv/vm/link" : folder + "/link"
        try FileManager.default.createSymbolicLink(atPath: host.tablePath, withDestinationPath: target)
        #expect(try host.table.add(row("work mic dom0:mic required")) == .added)
        #expect(try FileManager.default.destinationOfSymbolicLink(atPath: host.tablePath) == target)
        #expect(try FileStatus.ofEntry(folder + "/table")?.kind == .regular)
        #expect(try host.text == "# x\nwork mic dom0:mic required -\n")
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder).sorted() == ["link", "table"])
        #expect(try host.entries == ["assignments"])
    }

    @Test("What a crash has left is replaced, and a link left there is not followed")
    func leftovers() throws {
        let host = try TestHost("# x\n")
        let leftover = host.path("/etc/vmdev/.assignments.vmdev-new")
        let precious = host.path("/precious")
        try Data("precious".utf8).write(to: URL(fileURLWithPath: precious))
        for isLink in [false, true] {
            if isLink {
                try FileManager.default.createSymbolicLink(atPath: leftover, withDestinationPath: precious)
            } else {
                try Data("half a ro".utf8).write(to: URL(fileURLWithPath: leftover))
            }
            // Nobody reads it.
            #expect(try host.table.allAssignments().problems == [])
            #expect(try host.table.add(row("work block dom0:\(isLink ? "sda" : "sdb") required")) == .added)
            #expect(try host.entries == ["assignments"])
        }
        #expect(try host.text == "# x\nwork block dom0:sdb required -\nwork block dom0:sda required -\n")
        #expect(try String(contentsOfFile: precious, encoding: .utf8) == "precious")
    }

    @Test("A crash at any step of an edit leaves the old table or the new one, and the next edit works")
    func crash() throws {
        let host = try TestHost("work mic dom0:mic required\n")
        let old = try host.bytes
        let new = Array("work mic dom0:mic auto-attach -\n".utf8)
        // What is on the disk at this moment is what a crash leaves.
        func afterCrash(holds expected: [UInt8]) throws {
            let other = try TestHost()
            try makeFolders(other.path("/etc"))
            try FileManager.default.copyItem(atPath: host.path("/etc/vmdev"), toPath: other.path("/etc/vmdev"))
            #expect(try other.bytes == expected)
            #expect(try other.table.allAssignments().problems == [])
            #expect(try other.table.add(row("work usb dom0:1-1 required")) == .added)
            #expect(try other.bytes == expected + Array("work usb dom0:1-1 required -\n".utf8))
            #expect(try other.entries == ["assignments"])
        }
        let folder = try Descriptor.open(host.path("/etc/vmdev"), .directory)
        let status = try folder.status(below: "assignments")
        var replacement = try AtomicReplacement.begin(
            of: "assignments", in: folder, temporary: ".assignments.vmdev-new", like: status)
        try afterCrash(holds: old)
        try replacement.write(Array(new.prefix(5)))
        try afterCrash(holds: old)
        try replacement.write(Array(new.dropFirst(5)))
        try afterCrash(holds: old)
        #expect(try replacement.commit(ifStill: status))
        try afterCrash(holds: new)
    }

    @Test("Every random assignment is read as it was written")
    func roundTrip() throws {
        var random = SeededGenerator(seed: 4711)
        for _ in 0..<2000 {
            let assignment = try randomAssignment(&random)
            let line = RowFormat.line(of: assignment)
            #expect(try RowFormat.parse(line[...]).assignment == assignment, "\(assignment)")
            #expect(!line.contains(0x0a))
        }
    }

    @Test("Every text comes back from its escapes, whatever it holds")
    func escapes() {
        var random = SeededGenerator(seed: 815)
        let alphabet: [Unicode.Scalar] = [
            "\0", "\t", "\n", "\r", " ", "\\", "#", ",", "=", "0", "7", "a", "\u{7f}", "é", "\u{1f512}",
        ]
        for length in 0..<200 {
            var text = String.UnicodeScalarView()
            for _ in 0..<length { text.append(alphabet.randomElement(using: &random) ?? "a") }
            let encoded = FieldEscapes.encoded(String(text), also: [UInt8(ascii: ",")])
            #expect(FieldEscapes.decoded(encoded[...]).map(Array.init) == Array(String(text).utf8))
            #expect(!encoded.contains { $0 <= 0x20 || $0 == UInt8(ascii: ",") || $0 == UInt8(ascii: "#") })
        }
    }

    @Test("An edit changes its own line and no other byte, in 300 random tables")
    func onlyItsOwnLine() throws {
        var random = SeededGenerator(seed: 42)
        let host = try TestHost("")
        for _ in 0..<300 {
            var lines: [[UInt8]] = []
            var wishes: [Assignment] = []
            for _ in 0..<Int.random(in: 1...12, using: &random) {
                let end: [UInt8] = Bool.random(using: &random) ? [0x0a] : [0x0d, 0x0a]
                if Bool.random(using: &random) {
                    let assignment = try randomAssignment(&random)
                    guard !wishes.contains(where: { $0.isSameWish(as: assignment) }) else { continue }
                    wishes.append(assignment)
                    lines.append(RowFormat.line(of: assignment) + end)
                } else {
                    let rubbish = ["# comment \0", "", "  ", "work nonsense", "\0\0", "media block x", "#\u{feff}"]
                    lines.append(
                        Array((rubbish.randomElement(using: &random) ?? "").utf8)
                            + [0xff, 0x20].prefix(Int.random(in: 0...2, using: &random)) + end)
                }
            }
            try host.write(Array(lines.joined()))
            guard let chosen = wishes.randomElement(using: &random) else { continue }
            let index = try #require(lines.firstIndex { $0.starts(with: RowFormat.line(of: chosen)) })
            if Bool.random(using: &random) {
                let removed = try host.table.remove { $0.isSameWish(as: chosen) }
                #expect(removed == [chosen])
                lines.remove(at: index)
            } else {
                let other = try Assignment(
                    target: chosen.target, device: chosen.device,
                    mode: chosen.mode == .required ? .autoAttach : .required, options: .none)
                #expect(try host.table.add(other) == .changed(from: chosen))
                let end = Array(lines[index].reversed().prefix { $0 == 0x0a || $0 == 0x0d }.reversed())
                lines[index] = RowFormat.line(of: other) + end
            }
            #expect(try host.bytes == Array(lines.joined()))
        }
    }
}

func randomAssignment(_ random: inout SeededGenerator) throws -> Assignment {
    func pick<Value>(_ values: [Value]) throws -> Value { try #require(values.randomElement(using: &random)) }
    let deviceClass = try pick(DeviceClass.allCases)
    let ports: [DeviceClass: [String]] = [
        .block: ["sda", "sda1", "nvme0n1p2", "dm-3", "cciss_c0d0"], .usb: ["2-1", "1-4.2.7"],
        .pci: ["00_1f.2", "0001:02:03.4", "0000:00:1f.7"], .mic: ["mic", "mic-0-1"],
    ]
    let scalars = ["a", "Z", "0", " ", "\\", "#", ",", "=", ":", "*", "-", "é", "漢", "'", "\"", "\\040"]
    var identity = ""
    for _ in 0..<Int.random(in: 1...20, using: &random) { identity += try pick(scalars) }
    let known: DeviceIdentity? = identity == "*" || Bool.random(using: &random) ? nil : try DeviceIdentity(identity)
    let source = try VMName(try pick(["dom0", "sys-usb", "a.b_c-d"]))
    let port = try Port(try pick(ports[deviceClass] ?? []), of: deviceClass)
    let device =
        if let known, Bool.random(using: &random) {
            DeviceReference(deviceClass, source: source, identity: known)
        } else {
            DeviceReference(deviceClass, source: source, port: port, identity: known)
        }
    var options: [(key: String, value: String)] = []
    let rules: [(String, [String])] =
        [("follow", ["yes", "no"])]
        + (deviceClass == .block
            ? [("read-only", ["yes", "no"]), ("devtype", ["disk", "cdrom"]), ("frontend-dev", ["xvdi", "sdb1"])]
            : [])
    for (key, values) in rules.shuffled(using: &random) where Bool.random(using: &random) {
        options.append((key, try pick(values)))
    }
    return try Assignment(
        target: VMName(try pick(["work", "media", "w.x-1"])), device: device,
        mode: try pick(AssignmentMode.allCases),
        options: DeviceOptions(options, of: deviceClass))
}
