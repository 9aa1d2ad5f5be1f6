import Devices
import Foundation
import Hypervisors
import Platform
import TestSupport

// qubesd and its tools, as far as a unit in a container needs them.
//   qubesd-stand-in serve SCENARIO    answers at /var/run/qubesd.sock, and tells systemd when it does
//   qubesd-stand-in start VM          what qvm-start does
//   qubesd-stand-in tell VM           its state, and the USB devices that it has

/// `domain work Halted`, `expose sys-usb usb 2-1 IDENTITY`, `assign work usb sys-usb 2-1 IDENTITY MODE`, `has media usb sys-usb
/// 2-1 IDENTITY`, `loses work 2-1`, `pretends work`: a line each.
func read(_ line: Substring, into model: inout QubesModel) {
    let words = line.split(separator: " ").map(String.init)
    func word(_ index: Int) -> String { words.indices.contains(index) ? words[index] : "" }
    switch word(0) {
    case "domain": model.domains[word(1)] = QubesModel.Domain(state: word(2))
    case "expose":
        model.domains[word(1)]?.exposed[word(2), default: []].append(QubesModel.Exposed(word(3), word(4)))
    case "assign":
        model.domains[word(1)]?.assigned[word(2), default: []].append(
            QubesModel.Link(word(3), word(4), word(5), mode: word(6)))
    case "has":
        model.domains[word(1)]?.attached[word(2), default: []].append(
            QubesModel.Link(word(3), word(4), word(5), mode: "manual"))
    case "loses": model.domains[word(1)]?.losesAtStart.insert(word(2))
    case "pretends": model.domains[word(1)]?.attachesNothing = true
    default: fatalError("not understood: \(line)")
    }
}

let arguments = CommandLine.arguments
let admin = QubesAdmin(over: QubesdSocket(root: .host), timeout: .seconds(600))
switch arguments.dropFirst().first {
case "serve":
    let scenario = try String(contentsOfFile: arguments[2], encoding: .utf8)
    let qubesd = try QubesdStandIn(.r43, at: .host)
    qubesd.with { model in for line in scenario.split(separator: "\n") { read(line, into: &model) } }
    try Process.run(URL(filePath: "/usr/bin/systemd-notify"), arguments: ["--ready"]).waitUntilExit()
    withExtendedLifetime(qubesd) { while true { pause() } }
case "start":
    do { try admin.start(VMName(arguments[2]), until: Deadline(after: .seconds(600))) } catch {
        print("Error: Starting qube failed: \(error)")
        exit(1)
    }
case "tell":
    let vm = try VMName(arguments[2])
    let devices = try admin.attached([(vm, .usb)]).flatMap { try $0.get().rows }
    print(
        try admin.state(of: vm),
        devices.map { "\($0.source):\($0.port?.description ?? "*")" }.joined(separator: " "))
default: exit(64)
}
