import Devices
import Testing

@testable import Assignments

@Suite struct ReadingTests {
    struct Good: CustomTestStringConvertible {
        let line: String
        let means: String
        var testDescription: String { line }
    }

    @Test(
        "A row may be written in every way that crypttab(5) users know",
        arguments: [
            Good(line: "work block dom0:sda1 required -", means: "work dom0:sda1 required "),
            Good(line: "work block dom0:sda1 required", means: "work dom0:sda1 required "),
            Good(line: " \t work\tblock \t dom0:sda1   required  - \t", means: "work dom0:sda1 required "),
            Good(line: "work block dom0:sda1 required -\r", means: "work dom0:sda1 required "),
            Good(line: "work mic host:mic auto-attach", means: "work dom0:mic auto-attach "),
            Good(line: "work block dom0:sda1 required read-only=1", means: "work dom0:sda1 required read-only=yes"),
            Good(
                line: "work block dom0:sda1 required read-only=off,devtype=cdrom",
                means: "work dom0:sda1 required read-only=no, devtype=cdrom"),
            Good(
                line: "work usb sys-usb:2-1:046d:0825:9E3A1B00:u0e0100 required -",
                means: "work sys-usb:2-1:046d:0825:9E3A1B00:u0e0100 required "),
            Good(line: "work pci dom0:0000:00:1f.3 required", means: "work dom0:00_1f.3 required "),
            Good(
                line: #"work block dom0:loop0:/srv/a\040b.img required"#,
                means: "work dom0:loop0:/srv/a b.img required "),
            Good(line: #"w\157rk block dom0:*:a\043b\134c required"#, means: #"work dom0:*:a#b\c required "#),
            Good(
                line: #"work block dom0:sda1 required devtype=c\144rom"#,
                means: "work dom0:sda1 required devtype=cdrom"),
            Good(line: "work block dom0:sda1:größe required", means: "work dom0:sda1:größe required "),
        ])
    func goodRow(_ good: Good) throws {
        let host = try TestHost(good.line + "\n")
        let reading = try host.table.assignments(of: .work)
        #expect(reading.problems == [])
        let found = try #require(reading.assignments.first)
        #expect("\(found.target) \(found.device) \(found.mode) \(found.options.summary)" == good.means)
    }

    struct Bad: CustomTestStringConvertible {
        let line: String
        let says: [String]
        init(_ line: String, _ says: String...) {
            self.line = line
            self.says = says
        }
        var testDescription: String { line.debugDescription }
    }

    @Test(
        "A wrong row is a problem of its VM, which says the line, the field, what is wrong and what was expected",
        arguments: [
            Bad("work", "class is missing", "target class device mode [options]"),
            Bad("work block", "device is missing"),
            Bad("work block dom0:sda1", "mode is missing"),
            Bad("work block dom0:sda1 required - extra", "'extra' is a field too many"),
            Bad("work block dom0:sda1 required - # note", "'#' is a field too many", "line of its own"),
            Bad("work disk dom0:sda1 required", "field 2, the class", "'disk'", "block, usb, pci, mic"),
            Bad("work block sda1 required", "field 3, the device", "'sda1'", "SOURCE:PORT"),
            Bad(#"work block dom0:sda\0401 required"#, "field 3, the device", "'sda 1' is not a valid block port"),
            Bad("work block dom0:* required", "field 3, the device", "'*' can stand for one of them"),
            Bad("work block -x:sda1 required", "field 3, the device", "'-x' is not a valid VM name"),
            Bad("work block work:sda1 required", "field 3, the device", "other than the target"),
            Bad("work block dom0:sda1 maybe", "field 4, the mode", "'maybe'", "required or auto-attach"),
            Bad("work block dom0:sda1 required ro", "field 5, the options", "'ro'", "read-only=yes"),
            Bad("work block dom0:sda1 required ro=yes", "field 5, the options", "'ro'", "read-only, frontend-dev"),
            Bad("work block dom0:sda1 required read-only=yes,", "field 5, the options", "NAME=VALUE"),
            Bad("work block dom0:sda1 required read-only=maybe", "field 5", "value of read-only", "yes or no"),
            Bad(
                "work block dom0:sda1 required read-only=yes,read-only=no", "field 5", "each option once"),
            Bad(#"work block dom0:sda1:a\04 required"#, "field 3", "three octal digits"),
            Bad(#"work block dom0:sda1:a\777 required"#, "field 3", "377 at most"),
            Bad(#"work block dom0:sda1:a\000 required"#, "field 3", "NUL"),
            Bad("work block dom0:sda1:a\0 required", "field 3", "NUL"),
            Bad(#"work block dom0:sda1:a\377 required"#, "field 3", "not UTF-8"),
            Bad(#"work block dom0:sda1:a\012b required"#, "field 3", "device identity", "printable"),
            Bad("work block dom0:sda1:\u{1b}[2J required", "field 3", "'?[2J'"),
        ])
    func badRow(_ bad: Bad) throws {
        let host = try TestHost("# first\n\(bad.line)\nmedia block dom0:sdb required\n")
        let problem = try #require(try host.table.assignments(of: .work).problems.first)
        #expect(problem.description.hasPrefix("\(host.tablePath):2: "))
        #expect(problem.target == "work")
        for part in bad.says { #expect(problem.description.contains(part), "\(problem)") }
        // The other VM is not concerned; who asks for all is told of it.
        let other = try host.table.assignments(of: .media)
        #expect(other.problems == [])
        #expect(other.rows.map(\.line) == [3])
        #expect(try host.table.allAssignments() == TableReading(rows: other.rows, problems: [problem]))
    }

    @Test(
        "Damage in the first field fails the VM that it was for, and no other",
        arguments: [
            "wo\0rk", "work\0", "\0work", "wo\u{feff}rk", "\u{7}work", "work\u{1b}", #"work\"#, #"work\012"#,
            "+work", "-work",
            "work#", "\"work\"", "work\u{a0}x", "work\0block",
        ])
    func damagedTarget(_ field: String) throws {
        let host = try TestHost("x block dom0:sdc required\n\(field) block dom0:sda1 required\n")
        #expect(try host.table.assignments(of: .work).problems.map(\.line) == [2])
        #expect(try host.table.assignments(of: .work).rows == [])
        #expect(try host.table.assignments(of: .media) == TableReading())
        #expect(try host.table.allAssignments().problems.map(\.line) == [2])
    }

    @Test(
        "Bytes that are no UTF-8 fail the VM whose row has them",
        arguments: ["wo\u{1}rk", "\u{1}work", "work\u{1}"])
    func invalidUTF8InTarget(_ field: String) throws {
        let bytes = Array("\(field) block dom0:sda1 required\nmedia mic dom0:mic required".utf8).map {
            $0 == 1 ? 0xff : $0
        }
        let host = try TestHost(table: bytes)
        #expect(try host.table.assignments(of: .work).problems.map(\.target) == ["work"])
        #expect(try host.table.assignments(of: .media).problems == [])
    }

    @Test(
        "A row of another VM is never one of ours",
        arguments: ["workx", "wor", "xwork", "Work", "work-1", "wo.rk", #"work\061"#])
    func otherVM(_ name: String) throws {
        let host = try TestHost("\(name) nonsense\n\(name) block dom0:sda1 required\n")
        #expect(try host.table.assignments(of: .work) == TableReading())
    }

    @Test(
        "A row that names no VM at all could be anybody's, and fails them all",
        arguments: ["\0\0\0\0", "<<<<<<<", "=", "\"\" block"])
    func namelessRow(_ line: String) throws {
        let host = try TestHost("work block dom0:sda1 required\n\(line)\n")
        for name in ["work", "media", "x"] {
            #expect(try host.table.assignments(of: VMName(name)).problems.map(\.line) == [2])
        }
        #expect(try host.table.allAssignments().problems.map(\.target) == [nil])
    }

    @Test("A row that is not meant for a VM says so when all are read")
    func hostAsTarget() throws {
        for name in ["dom0", "host"] {
            let host = try TestHost("\(name) block dom0:sda1 required\n")
            #expect(try host.table.assignments(of: .host).problems.map(\.line) == [1])
            let problem = try #require(try host.table.allAssignments().problems.first)
            #expect(problem.description.contains("field 1, the target: 'dom0' is not a valid target VM"))
        }
    }

    @Test("The same reference twice for a VM is a problem that names both lines; for two VMs it is none")
    func duplicate() throws {
        let host = try TestHost(
            """
            work block dom0:sda1 required
            media block dom0:sda1 required
            work block dom0:sda1:x required
            work block host:sda1 auto-attach read-only=yes

            """)
        let reading = try host.table.assignments(of: .work)
        #expect(reading.rows.map(\.line) == [1, 3])
        #expect(reading.problems.map(\.line) == [4])
        #expect(reading.problems.first?.message.contains("in line 1") == true)
        #expect(try host.table.assignments(of: .media).problems == [])
        #expect(try host.table.allAssignments().problems == reading.problems)
    }

    @Test(
        "What is no row is passed over",
        arguments: [
            "", "\n\n", "# work block\n", "  \t# work\n", " \t \n\r\n", "\u{feff}", "\u{feff}# x", "#\0\u{1}\n",
            "# no end",
        ])
    func nothing(_ text: String) throws {
        let host = try TestHost(text)
        #expect(try host.table.allAssignments() == TableReading())
        #expect(try host.table.assignments(of: .work) == TableReading())
    }

    @Test("A comment may hold anything: NUL, bytes that are no UTF-8, a megabyte")
    func comments() throws {
        let host = try TestHost(
            table: [0x23, 0, 0xff, 0xfe, 0x0a] + [0x20, 0x23] + [UInt8](repeating: 0xc3, count: 1 << 20)
                + Array("\nwork mic dom0:mic required".utf8))
        #expect(try host.table.allAssignments().rows.map(\.line) == [3])
        #expect(try host.table.allAssignments().problems == [])
    }

    @Test("A byte order mark at the beginning, CRLF and a missing last line end do not matter")
    func windowsFile() throws {
        let host = try TestHost(
            "\u{feff}work mic dom0:mic required\r\n\r\n# x\r\nwork block dom0:sda required -\r\nwork usb dom0:1-1 required"
        )
        let reading = try host.table.assignments(of: .work)
        #expect(reading.problems == [])
        #expect(reading.rows.map(\.line) == [1, 4, 5])
        #expect(reading.assignments.map(\.mode) == [.required, .required, .required])
    }

    @Test("A UTF-16 file fails the VMs that are in it, rather than giving them nothing")
    func utf16() throws {
        let text = "work mic dom0:mic required\r\nmedia mic dom0:mic required\r\n"
        let host = try TestHost(table: [0xff, 0xfe] + text.utf16.flatMap { [UInt8($0 & 0xff), UInt8($0 >> 8)] })
        for vm in [try VMName.work, try .media] { #expect(try !host.table.assignments(of: vm).problems.isEmpty) }
    }

    @Test(
        "A row of up to 64 KiB is read, a longer one is a problem of the VM that it begins with",
        arguments: [(-1, true), (0, true), (1, false), (5, false), (100_000, false), (1_000_000, false)],
        ["\n", "\r\n", ""])
    func longRow(_ length: (excess: Int, isFine: Bool), _ end: String) throws {
        let row = "work mic dom0:mic required -"
        let blanks = String(repeating: " ", count: LineSplitter.maximumLength + length.excess - row.utf8.count)
        for mark in ["", "\u{feff}"] {
            let host = try TestHost(mark + row + blanks + end + "media usb dom0:1-1 required\n")
            guard end != "" || !length.isFine else { continue }
            let reading = try host.table.assignments(of: .work)
            #expect(reading.rows.count == (length.isFine ? 1 : 0))
            #expect(reading.problems.map(\.target) == (length.isFine ? [] : ["work"]))
            if end != "" { #expect(try host.table.assignments(of: .media).rows.map(\.line) == [2]) }
        }
    }

    @Test("A hole of zeros, as a crash can leave it, fails every VM instead of hiding rows")
    func hole() throws {
        for count in [1, 4096, 70_000, 200_000] {
            let host = try TestHost(
                table: [UInt8](repeating: 0, count: count) + Array(" block dom0:sda1 required\n".utf8))
            #expect(try host.table.assignments(of: .work).problems.count == 1)
        }
        let blanks = try TestHost(String(repeating: " ", count: 70_000) + "work mic dom0:mic required\n")
        #expect(try blanks.table.assignments(of: .work).problems.count == 1)
    }

    @Test("Every row of a large table is found in its line, wherever the pieces in which it is read are cut")
    func largeTable() throws {
        var lines: [String] = []
        var expected: [Int] = []
        for index in 1...100_000 {
            if index % 997 == 0 {
                expected.append(index)
                lines.append("work block dom0:dm-\(index) required read-only=yes")
            } else {
                lines.append("vm\(index % 1000) block dom0:sda\(index):usb-Some_Disk_\(index) required -")
            }
        }
        let host = try TestHost(lines.joined(separator: "\n"))
        let reading = try host.table.assignments(of: .work)
        #expect(reading.problems == [])
        #expect(reading.rows.map(\.line) == expected)
        #expect(reading.assignments.map(\.device.port?.description) == expected.map { "dm-\($0)" })
        #expect(reading.assignments.allSatisfy { $0.options.readOnly == true })
    }
}
