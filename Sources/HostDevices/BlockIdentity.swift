internal import Devices

/// The identities of a block device, the one to store first: its names under /dev/disk/by-id, those with a readable
/// serial number before those that are mere numbers; then the path of the file behind a loop device, which is all that
/// stays the same of one from boot to boot.
func blockIdentities(links: [String], backingFile: String?, partition: Int?) -> [DeviceIdentity] {
    let names = Set(links).sorted { left, right in
        let (leftRank, rightRank) = (isMereNumber(left), isMereNumber(right))
        guard leftRank == rightRank else { return rightRank }
        return left.utf8.lexicographicallyPrecedes(right.utf8)
    }
    // The kernel says so of a file that has been removed: its path is no longer that file's.
    let file = backingFile.flatMap {
        $0.hasSuffix(" (deleted)") ? nil : $0 + (partition.map { "-part\($0)" } ?? "")
    }
    return (names + (file.map { [$0] } ?? [])).compactMap { try? DeviceIdentity($0) }
}

private func isMereNumber(_ link: String) -> Bool {
    // SCSI's own identifiers begin with their type: 2 is EUI-64, 3 is NAA, 8 a SCSI name (scsi_id(8)).
    [
        "wwn-", "nvme-eui.", "nvme-nvme.", "nvme-uuid.", "scsi-2", "scsi-3", "scsi-8", "dm-uuid-", "md-uuid-",
        "lvm-pv-uuid-",
    ].contains { link.hasPrefix($0) }
}
