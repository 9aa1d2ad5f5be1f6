import FoundationEssentials

@testable import Devices
@testable import ExportProtocol
@testable import Hypervisors

/// QEMU's lines, each at a moment when a reply of some type is what comes next.
func readQMP(_ bytes: [UInt8]) {
    var buffer = LineBuffer()
    let half = bytes.count / 2
    for part in [bytes.prefix(half), bytes.dropFirst(half)] {
        buffer.append(Array(part))
        while let line = buffer.next() { readMessage(line) }
    }
    readMessage(buffer.start)
}

private func readMessage(_ line: [UInt8]) {
    if let plain = QMPPlainReply(line) {
        // A space makes it one for the JSON reader.
        let message = try? QMPMessage<QMP.Nothing>(line: [UInt8(ascii: " ")] + line, by: JSONDecoder())
        guard case .reply(plain.id, .success)? = message else { return promise(false, "\(plain) is no JSON") }
    }
    promise(!line.contains(UInt8(ascii: "\n")), "a line with a line break in it")
    readMessage(line, QMP.Nothing.self)
    readMessage(line, QMP.Name.self)
    readMessage(line, QMP.Status.self)
    readMessage(line, [QMP.Disk].self)
    readMessage(line, [QMP.PCIBus].self)
    readMessage(line, [QMP.FDSet].self)
    readMessage(line, [QOM.Entry].self)
    readMessage(line, String.self)
    readMessage(line, Int64.self)
}

private func readMessage<Reply: Decodable>(_ line: [UInt8], _ type: Reply.Type) {
    do throws(QMPError) {
        let message = try QMPMessage<Reply>(line: line, by: JSONDecoder())
        if case .reply(_, .failure(let error)) = message { promise(isPlain("\(error)"), "\(error)") }
    } catch {
        promise(isPlain("\(error)"), "\(error)")
    }
}

/// qubesd's answers and the rows in them.
func readQubesd(_ bytes: [UInt8]) {
    if let answer = AdminAnswer(parsing: bytes) {
        promise(AdminAnswer(parsing: answer.bytes) == answer, "\(answer) is read as another")
    }
    for line in bytes.split(separator: UInt8(ascii: "\n")) {
        _ = try? QubesRow(parsing: line, hasHead: false)
        guard let row = try? QubesRow(parsing: line, hasHead: true) else { continue }
        promise(isPlain(row.text), row.text)
        for kind in DeviceClass.allCases {
            guard let source = try? VMName("sys-usb"),
                let found = try? QubesDevice(row, of: kind, source: source)
            else { continue }
            promise(
                found.device.source == source && found.device.deviceClass == kind, "a device of somebody else's")
            promise(isPlain(found.device.title) && isPlain("\(found.device.reference)"), found.device.title)
        }
    }
}

/// libvirt's descriptions: what is read is written in the same way.
func readXML(_ bytes: [UInt8]) {
    guard let element = try? XMLElement(parsing: bytes) else { return }
    promise((try? XMLElement(parsing: Array(element.xml.utf8))) == element, "\(element.xml) is read as another")
    let description = LibvirtDescription(element)
    promise(description.aliases.count <= description.devices.count, "more devices of ours than devices")
}

/// What a source VM answers, and what an exporter is asked.
func readExport(_ bytes: [UInt8]) {
    if let request = try? ExportRequest(parsing: bytes) {
        let line = (try? request.line()) ?? []
        promise((try? ExportRequest(parsing: line.dropLast())) == request, "\(request) is read as another")
    }
    for kind in ExportRequest.classes {
        guard let reply = try? ExportReply(parsing: bytes, of: kind) else { continue }
        let line = (try? reply.line()) ?? []
        promise((try? ExportReply(parsing: line.dropLast(), of: kind)) == reply, "\(reply) is read as another")
        if case .devices(let devices) = reply {
            promise(devices.allSatisfy { isPlain($0.title) && !$0.canonical.key.contains("/") }, "\(devices)")
        }
    }
}
