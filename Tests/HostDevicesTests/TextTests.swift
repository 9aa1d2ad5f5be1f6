import Devices
import Testing

@testable import HostDevices

@Suite("What is made of the texts of kernel and udev")
struct TextTests {
    @Test(
        "A mount is read whatever its optional fields and escapes",
        arguments: [
            ("36 35 98:0 /a /mnt rw master:1 shared:2 - ext3 /dev/sda1 rw", 98, 0, "/mnt", "/dev/sda1"),
            (
                "36 35 259:12 / /a\\040b\\134c\\011\\012 rw - xfs /dev/nvme0n1p1 rw", 259, 12, "/a b\\c\t\n",
                "/dev/nvme0n1p1"
            ),
            (
                "40 22 0:46 /@home /home rw,relatime shared:9 - btrfs /dev/sdb rw,subvol=/@home", 0, 46, "/home",
                "/dev/sdb"
            ),
            ("36 35 8:1 / / rw - ext4 /dev/root rw", 8, 1, "/", "/dev/root"),
            ("36 35 8:1 / /x\\0 rw - ext4 s\\999 rw", 8, 1, "/x\\0", "s\\999"),
            ("36 35 8:1 / /- rw - - ext4 /dev/a rw", 8, 1, "/-", "ext4"),
        ])
    func mount(line: String, major: UInt32, minor: UInt32, place: String, source: String) {
        let table = MountTable(mountinfo: Array("garbage\n\n36 35 8:x / / rw - a b c\n\(line)\n36 35 8:1 / /".utf8))
        #expect(
            table.mounts == [.init(number: .init(major: major, minor: minor), place: place, source: source)])
    }

    @Test("Swap partitions are found in /proc/swaps, swap files are not")
    func swaps() {
        let text = """
            Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority
            /dev/sda2                               partition\t1020\t\t0\t\t-2
            /swapfile                               file\t\t1020\t\t0\t\t-3
            /dev/mapper/a\\040b                      partition\t1020\t\t0\t\t-4

            """
        #expect(swapPaths(in: Array(text.utf8)) == ["/dev/sda2", "/dev/mapper/a b"])
        #expect(swapPaths(in: []) == [])
    }

    @Test(
        "The identity to store is a readable one with a serial number where there is one",
        arguments: [
            (["wwn-0x5000", "ata-Disk_S1"], "ata-Disk_S1"),
            (["nvme-eui.00", "nvme-Samsung_S2", "nvme-nvme.144d"], "nvme-Samsung_S2"),
            (["scsi-3600", "scsi-SATA_Disk_S1"], "scsi-SATA_Disk_S1"),
            (["dm-uuid-LVM-x", "dm-name-vg-root"], "dm-name-vg-root"),
            (["md-uuid-a:b", "md-name-host:0"], "md-name-host:0"),
            (["lvm-pv-uuid-x", "usb-Stick_1-0:0-part1"], "usb-Stick_1-0:0-part1"),
            (["usb-b", "ata-b", "usb-a"], "ata-b"),
            (["wwn-0x5000-part1"], "wwn-0x5000-part1"),
        ])
    func preferredIdentity(links: [String], preferred: String) {
        let identities = blockIdentities(links: links, backingFile: nil, partition: nil).map(\.description)
        #expect(identities.first == preferred)
        #expect(Set(identities) == Set(links))
    }

    @Test(
        "A loop device is known by its file, as long as that is a name to store",
        arguments: [
            ("/srv/disk.img", nil, ["/srv/disk.img"]),
            ("/srv/disk.img", 2, ["/srv/disk.img-part2"]),
            ("/srv/disk.img (deleted)", nil, []),
            ("/" + String(repeating: "a", count: 254), nil, ["/" + String(repeating: "a", count: 254)]),
            ("/" + String(repeating: "a", count: 255), nil, []),
            ("/srv/\u{1b}[2J", nil, []),
        ] as [(String, Int?, [String])])
    func loopIdentity(file: String, partition: Int?, expected: [String]) {
        let identities = blockIdentities(links: [], backingFile: file, partition: partition)
        #expect(identities.map(\.description) == expected)
    }

    @Test(
        "The guest's serial has 20 characters at most and tells partitions apart",
        arguments: [
            ("S1", nil, "S1"),
            ("  WD 1,2\"3  ", nil, "WD_1_2_3"),
            ("0123456789abcdefghijXYZ", nil, "3456789abcdefghijXYZ"),
            ("S1", 1, "S1-part1"),
            ("0123456789abcdefghij", 12, "789abcdefghij-part12"),
            ("a/b\\c", nil, "a_b_c"),
            ("\u{1b}[2J", nil, "_2J"),
            ("é", nil, "__"),
            (nil, nil, "loop0"),
            ("   ", nil, "loop0"),
            (nil, 3, "loop0"),
        ] as [(String?, Int?, String)])
    func serial(serial: String?, partition: Int?, expected: String) {
        #expect(guestSerial(serial, name: "loop0", partition: partition) == expected)
    }

    @Test("A device without a serial that has a long name keeps the end of it")
    func longName() {
        #expect(guestSerial(nil, name: "0-group-abcdefghijklmnop", partition: nil) == "oup-abcdefghijklmnop")
    }

    @Test(
        "A vital product data page is believed only when it is well formed",
        arguments: [
            ([0, 0x80, 0, 3, 0x41, 0x42, 0x43], "ABC"),
            ([0, 0x80, 0, 3, 0x41, 0x42, 0x43, 0x44], "ABC"),
            ([0, 0x80, 0, 3, 0x41, 0, 0x43], "A"),
            ([0, 0x80, 0, 4, 0x41, 0x42, 0x43], nil),
            ([0, 0x83, 0, 3, 0x41, 0x42, 0x43], nil),
            ([0, 0x80, 0, 0], nil),
            ([0, 0x80], nil),
            ([], nil),
        ] as [([UInt8], String?)])
    func page(bytes: [UInt8], expected: String?) {
        #expect(serialNumber(inPage: bytes) == expected)
    }
}
