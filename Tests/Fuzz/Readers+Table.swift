@testable import Assignments
@testable import Devices
@testable import Settings

/// A table: what is read is written in the same way, each VM gets its own rows and no problem is lost, and an edit
/// changes its own line alone.
func readTable(_ bytes: [UInt8]) {
    let all = rows(of: bytes, nil)
    for row in all.rows {
        let again = try? RowFormat.parse(RowFormat.line(of: row.assignment)[...]).assignment
        promise(again == row.assignment, "\(row.assignment) is written as something else")
    }
    for vm in Set(all.assignments.map(\.target)) {
        let own = rows(of: bytes, RowMatcher(vm))
        promise(
            own.rows == all.rows.filter { $0.assignment.target == vm }, "\(vm) has other rows when it is read alone"
        )
        promise(own.problems.allSatisfy(all.problems.contains), "\(vm) has a problem that the table has not")
    }
    for wish in all.assignments.prefix(2) + additions {
        let old = lines(of: bytes)
        let edit = TableText(bytes).adding(wish)
        guard let new = edit.bytes else {
            promise(edit.outcome == .alreadySo, "nothing was written, and it was not so")
            continue
        }
        promise(rows(of: new, nil).assignments.contains(wish), "\(wish) was added and is not there")
        let kept = lines(of: new)
        let changed = Set(old).symmetricDifference(kept)
        promise(changed.allSatisfy { isLine(of: wish, $0) }, "an edit of \(wish) changed another line")
        let removal = TableText(new).removing { $0.isSameWish(as: wish) }
        promise(removal.outcome == [wish], "\(wish) was added and cannot be removed")
        let own = TableText(new).removing(from: wish.target) { $0.isSameWish(as: wish) }
        promise(own.outcome == [wish] && own.bytes == removal.bytes, "\(wish) is not removed from its VM alone")
        let left = removal.bytes.map { lines(of: $0) } ?? []
        promise(left == old.filter { !isLine(of: wish, $0) }, "a removal of \(wish) changed another line")
    }
}

private let additions = [
    assignment("work", "dom0:sda1:usb-Stick 1,\\#é", .block, "read-only=yes"),
    assignment("work", "sys-usb:*:046d:0825:9E3A1B00:u0e0100", .usb, "follow=no"),
]

private func assignment(_ vm: String, _ device: String, _ kind: DeviceClass, _ option: String) -> Assignment {
    do {
        let options = try DeviceOptions([DeviceOptions.pair(parsing: option)], of: kind)
        return try Assignment(
            target: VMName(vm), device: DeviceReference(parsing: device, of: kind), options: options)
    } catch {
        fatalError("\(error)")
    }
}

private func rows(of bytes: [UInt8], _ matcher: RowMatcher?) -> TableReading {
    var collector = RowCollector(file: "table", matcher: matcher)
    var splitter = LineSplitter()
    while let line = splitter.next(in: bytes.span, isLast: true) { collector.take(line, in: bytes.span) }
    return collector.reading
}

/// The lines without their ends: an addition gives the last line an end if it had none.
private func lines(of bytes: [UInt8]) -> [[UInt8]] {
    var splitter = LineSplitter()
    var lines: [[UInt8]] = []
    while let line = splitter.next(in: bytes.span, isLast: true) { lines.append(Array(bytes[line.content])) }
    return lines
}

private func isLine(of wish: Assignment, _ line: [UInt8]) -> Bool {
    let row = try? RowFormat.parse(line[...])
    return row?.assignment.isSameWish(as: wish) ?? false
}

/// vmdev.conf: no path or unit name that leaves its folder comes out of it.
func readConfiguration(_ bytes: [UInt8]) {
    let file = ConfigurationFile(bytes, path: "vmdev.conf")
    var settings = Settings()
    for entry in file.entries {
        let rule = Settings.rules(of: entry.section)?.first { $0.key == entry.key }
        let before = settings
        if rule?.take(&settings, entry.value) == false {
            promise(settings.sources == before.sources, "a wrong value was taken")
        }
        _ = TimeSpan(entry.value).map { promise($0.duration >= .zero, "a time below 0") }
    }
    let vm = additions[0].target
    let unit = settings.vmUnit.text(for: vm)
    promise(!unit.contains("/") && !unit.hasPrefix("."), "VMUnit leaves its folder: \(unit)")
    let socket = settings.qmpSocket.text(for: vm)
    promise(socket.hasPrefix("/") && socket.contains("work"), "QMPSocket is nobody's: \(socket)")
    promise(settings.qmpTimeout > .zero && settings.libvirtTimeout > .zero, "no time at all")
    for source in settings.sources { _ = try? SourceAddress(source.address.description) }
}
