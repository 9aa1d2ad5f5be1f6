import Devices
import Foundation
import Platform
import TestSupport
import Testing

@testable import Hypervisors

/// The description with which a domain is started once.
struct LibvirtStartTests {
    private let mic = Device.Mic(card: 1, cardName: "PCH", device: 2)
    private func id(_ name: String = "mic") throws -> AttachmentID { AttachmentID(port: try Port(name, of: .mic)) }

    @Test("The sound card goes in at the end of the devices, and the rest stays byte for byte")
    func added() throws {
        let before = """
            <domain><!-- a --><metadata><x:y xmlns:x='z'>a <b/> c</x:y></metadata>
              <devices><audio id='3' type='none'/>
            """
        let after = "</devices><devices2/> </domain>\n"
        let text = try #require(try LibvirtStart(before + after).adding([(mic, id())]))
        #expect(text.hasPrefix(before))
        #expect(text.hasSuffix(after))
        #expect(text.contains("<audio id='4'/><alias name='ua-vmdev-mic'/></sound>"))
        #expect(text.contains("<audio id='4' type='alsa'><input dev='dsnoop:CARD=PCH,DEV=2'/><output dev='null'/>"))
    }

    @Test("A second microphone has a backend of its own; one that is there already is not added")
    func several() throws {
        let text = try #require(
            try LibvirtStart("<domain><devices></devices></domain>").adding([(mic, id()), (mic, id("mic-1-2"))]))
        #expect(text.contains("<audio id='1'/>") && text.contains("<audio id='2'/>"))
        #expect(try LibvirtStart(text).adding([(mic, id()), (mic, id("mic-1-2"))]) == nil)
    }

    @Test("The name of a card stays a value, whatever it holds")
    func escaped() throws {
        let odd = Device.Mic(card: 1, cardName: "a'/><b c=\"", device: 0)
        let text = try #require(
            try LibvirtStart("<domain><devices></devices></domain>").adding([(odd, id())]))
        let read = try XMLElement(parsing: Array(text.utf8))
        let input = read.first("devices")?.all("audio").first?.first("input")?["dev"]
        #expect(input == "dsnoop:CARD=a'/><b c=\",DEV=0")
    }

    @Test(
        "A description into which nothing can go is an error",
        arguments: [
            "<domain/>", "<domain><devices/></domain>", "<domain><a><devices></devices></a></domain>", "", "<",
        ])
    func unfit(text: String) { #expect(throws: XMLReader.Failure.self) { try LibvirtStart(text) } }

    @Test(
        "A PCI address is the same in the kernel's way of writing and in libvirt's",
        arguments: [("0000:00:1f.2", "0x1f", "0x2"), ("0000:00:03.0", "0x3", "0x0")])
    func addresses(text: String, slot: String, function: String) throws {
        let address = try #require(LibvirtPCIAddress(text))
        #expect(address.element["slot"] == slot && address.element["function"] == function)
        #expect(LibvirtPCIAddress(address.element) == address)
    }

    @Test(
        "What is no PCI address, and what is no USB node, is none",
        arguments: ["", "0000:00:1f", "x:y:z.0", "/dev/sda"])
    func none(text: String) {
        #expect(LibvirtPCIAddress(text) == nil)
        #expect(LibvirtVM.usbNumbers(text) == nil)
    }
}

/// Microphones with a real libvirtd.
@Suite(.needsQEMU, .needsLibvirt) struct LibvirtMicTests {
    private let soon = Deadline(after: .seconds(60))

    private func microphone() throws -> Device {
        Device(
            .mic, source: .host, port: try Port("mic", of: .mic), title: "a microphone",
            canonical: CanonicalDevice(key: "mic-9-0"),
            details: .mic(Device.Mic(card: 9, cardName: "Nine", device: 0, number: nil)))
    }

    @Test(
        "A domain is started once with the microphone's sound card, and what is stored of it stays as it was",
        arguments: LibvirtDaemon.Way.allCases)
    func startedOnce(way: LibvirtDaemon.Way) throws {
        let daemon = try LibvirtDaemon(way)
        let domain = try LibvirtDomain(on: daemon)
        try domain.connect().end()
        let stored = try daemon.virsh("dumpxml", "work", "--inactive", "--security-info")
        let mic = try microphone()
        let text = try #require(try daemon.hypervisor.startDescription(of: domain.name, with: [mic]))
        let file = daemon.folder.path + "/once.xml"
        try text.write(toFile: file, atomically: true, encoding: .utf8)
        try daemon.virsh("create", "--paused", file)
        #expect(try daemon.virsh("dumpxml", "work").contains("ua-vmdev-mic"))
        #expect(try daemon.virsh("dumpxml", "work", "--inactive", "--security-info") == stored)

        let vm = try domain.connect()
        let request = AttachRequest(device: mic, options: .none, readOnly: false, backing: .byName)
        #expect(try vm.place([request]) == [nil])
        try vm.attach(request)
        // The host has no such card, and QEMU says nothing of it.
        let failure = try vm.verify([request]).first ?? nil
        #expect(failure?.kind == .notVerified)
        #expect(failure?.message.contains("it would be silent: its QEMU does not see /dev/snd/controlC9") == true)
        let detached = #expect(throws: HypervisorError.self) { try vm.detach(request.id, until: soon) }
        #expect(detached?.kind == .unsupported)
        try vm.end()
        #expect(try daemon.virsh("list", "--all", "--name") == "work", "it is as persistent as it was")
    }

    @Test("A domain that was started without it says how to start it", arguments: LibvirtDaemon.Way.allCases)
    func without(way: LibvirtDaemon.Way) throws {
        let domain = try LibvirtDomain(on: LibvirtDaemon(way))
        let request = AttachRequest(device: try microphone(), options: .none, readOnly: false, backing: .byName)
        let error = #expect(throws: HypervisorError.self) { try domain.connect().attach(request) }
        #expect(error?.kind == .noRoom)
        #expect(error?.remedy?.contains("systemctl start libvirt-vm@work") == true)
        #expect(error?.remedy?.contains("<input dev='dsnoop:CARD=Nine,DEV=0'/>") == true)
    }

    @Test("A domain that there is not cannot be described, and one without microphones need not be")
    func others() throws {
        let daemon = try LibvirtDaemon()
        #expect(try daemon.hypervisor.startDescription(of: VMName("nosuch"), with: []) == nil)
        let error = #expect(throws: HypervisorError.self) {
            try daemon.hypervisor.startDescription(of: VMName("nosuch"), with: [microphone()])
        }
        #expect(error?.kind == .notRunning)
    }
}
