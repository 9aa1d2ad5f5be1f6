/// The serial number that the guest is shown: 20 characters at most, as virtio-blk has it, of those that udev in the
/// guest takes over unchanged into /dev/disk/by-id/virtio-….
///
/// Of a longer one the end is kept, where serial numbers differ; a partition's ends with `-partN`. A device without a
/// serial number has `name` instead, so that there is always a link.
func guestSerial(_ serial: String?, name: String, partition: Int?) -> String {
    let limit = 20
    guard let serial = serial.map(linkable), !serial.isEmpty else { return String(linkable(name).suffix(limit)) }
    let tail = partition.map { "-part\($0)" } ?? ""
    return String(serial.suffix(max(limit - tail.utf8.count, 0))) + tail
}

/// Without blanks at the ends, and `_` for each character that does not belong in a link's name.
private func linkable(_ text: String) -> String {
    let isBlank: (UInt8) -> Bool = { $0 <= 0x20 }
    let bytes = text.utf8.drop(while: isBlank).reversed().drop(while: isBlank).reversed()
    let result = bytes.map { byte -> UInt8 in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            byte
        default: "#+-.:=@_".utf8.contains(byte) ? byte : UInt8(ascii: "_")
        }
    }
    return String(decoding: result, as: UTF8.self)
}

/// The serial number in a SCSI unit's vital product data page 0x80; nil when the page is not well formed.
func serialNumber(inPage page: [UInt8]) -> String? {
    guard page.element(1) == 0x80, let high = page.element(2), let low = page.element(3) else { return nil }
    let count = Int(high) << 8 | Int(low)
    let bytes = page.dropFirst(4).prefix(count)
    guard bytes.count == count, count > 0 else { return nil }
    return String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
}
