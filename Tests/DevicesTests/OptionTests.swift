import Devices
import Testing

@Suite struct OptionTests {
    @Test(
        "An option is stored in one form, however it was written",
        arguments: [
            (.block, "read-only=1", "read-only=yes"), (.block, "read-only=TRUE", "read-only=yes"),
            (.block, "read-only=on", "read-only=yes"), (.block, "read-only=yes", "read-only=yes"),
            (.block, "read-only=0", "read-only=no"), (.block, "read-only=No", "read-only=no"),
            (.block, "read-only=false", "read-only=no"), (.block, "read-only=off", "read-only=no"),
            (.block, "devtype=cdrom", "devtype=cdrom"), (.block, "devtype=disk", "devtype=disk"),
            (.block, "frontend-dev=xvdi", "frontend-dev=xvdi"), (.block, "frontend-dev=sdb1", "frontend-dev=sdb1"),
            (.pci, "no-strict-reset=true", "no-strict-reset=yes"), (.pci, "permissive=0", "permissive=no"),
            (.block, "follow=no", "follow=no"), (.usb, "follow=no", "follow=no"), (.pci, "follow=1", "follow=yes"),
            (.mic, "follow=1", "follow=yes"), (.block, "timeout=10", "timeout=10s"),
            (.usb, "timeout=1min 30s", "timeout=90s"), (.pci, "timeout=500ms", "timeout=500ms"),
            (.mic, "timeout=infinity", "timeout=infinity"), (.usb, "timeout=1.0005s", "timeout=1000500us"),
            (.usb, "timeout=0", "timeout=0s"),
        ] as [(DeviceClass, String, String)])
    func good(_ deviceClass: DeviceClass, _ text: String, _ form: String) throws {
        let pair = try DeviceOptions.pair(parsing: text)
        #expect(try DeviceOptions([pair], of: deviceClass).summary == form)
    }

    @Test(
        "An option that the class does not have, or a value that the option does not take, is refused with the ones that are",
        arguments: [
            (.block, "ro=yes", ["'ro'", "one of read-only, frontend-dev, devtype, follow, timeout"]),
            (.usb, "read-only=yes", ["'read-only'", "one of follow, timeout"]),
            (.pci, "devtype=disk", ["no-strict-reset, permissive, follow"]),
            (.usb, "timeout=soon", ["value of timeout", "10s"]), (.mic, "timeout=", ["10s"]),
            (.block, "timeout=-1", ["10s"]),
            (.mic, "x=", ["'x'"]), (.block, "Read-Only=yes", ["'Read-Only'"]),
            (.block, "read-only=", ["value of read-only", "yes or no"]), (.block, "read-only=maybe", ["yes or no"]),
            (.block, "devtype=floppy", ["disk or cdrom"]), (.block, "devtype=CDROM", ["disk or cdrom"]),
            (.block, "frontend-dev=hda", ["xvd or sd"]), (.block, "frontend-dev=xvd", ["xvd or sd"]),
            (.block, "frontend-dev=sd/../a", ["xvd or sd"]),
            (.block, "frontend-dev=sdaaaaaaaaaaaaaaa", ["16 at most"]),
        ] as [(DeviceClass, String, [String])])
    func bad(_ deviceClass: DeviceClass, _ text: String, _ says: [String]) throws {
        let pair = try DeviceOptions.pair(parsing: text)
        let error = #expect(throws: SyntaxError.self) { try DeviceOptions([pair], of: deviceClass) }
        for part in says { #expect(error?.description.contains(part) == true, "\(String(describing: error))") }
    }

    @Test("What is no NAME=VALUE is refused", arguments: ["", "ro", "=", "=yes"])
    func noPair(_ text: String) {
        #expect(throws: SyntaxError.self) { try DeviceOptions.pair(parsing: text) }
    }

    @Test("A value keeps every equals sign after the first")
    func equals() throws {
        let pair = try DeviceOptions.pair(parsing: "a=b=c")
        #expect(pair.key == "a")
        #expect(pair.value == "b=c")
    }

    @Test("An option given twice is refused, even with the same value")
    func twice() {
        #expect(throws: SyntaxError.self) {
            try DeviceOptions([("read-only", "yes"), ("devtype", "disk"), ("read-only", "yes")], of: .block)
        }
    }

    @Test("What is not said has its default")
    func defaults() throws {
        #expect(DeviceOptions.none.follow)
        #expect(DeviceOptions.none.readOnly == nil)
        #expect(!DeviceOptions.none.isCDROM)
        let options = try DeviceOptions([("follow", "0"), ("devtype", "cdrom"), ("read-only", "off")], of: .block)
        #expect(!options.follow)
        #expect(options.readOnly == false)
        #expect(options.isCDROM)
        #expect(options["devtype"] == "cdrom")
        #expect(options["frontend-dev"] == nil)
        #expect(options.timeout == nil)
        #expect(try DeviceOptions([("timeout", "1min 30s")], of: .usb).timeout == .seconds(90))
    }

    @Test("Every option of every class says what it does and what it takes", arguments: DeviceClass.allCases)
    func rules(_ deviceClass: DeviceClass) {
        let rules = OptionRule.rules(of: deviceClass)
        #expect(Set(rules.map(\.key)).count == rules.count)
        for rule in rules {
            #expect(!rule.help.isEmpty)
            #expect(!rule.expectation.isEmpty)
        }
    }
}
