import Devices
import Foundation
import Platform
import Testing

@testable import HostDevices

@Suite("Claiming a block device of this host")
struct ClaimTests {
    let source = HostSource(root: .host, patience: .seconds(60))

    private func kind(_ body: () throws -> Descriptor) -> SourceError.Kind? {
        do {
            _ = try body()
            return nil
        } catch {
            return (error as? SourceError)?.kind
        }
    }

    @Test("The host cannot mount what is claimed, and can again when the claim has ended")
    func claimBeforeMount() throws {
        let loop = try LoopDevice()
        try run("mkfs.ext4", "-q", loop.node)
        let device = try #require(try source.device(in: loop.port))
        try withExtendedLifetime(try source.claim(device, readOnly: false)) {
            let refusal = try #require(throws: ProgramFailure.self) {
                _ = try Mounted(loop.node, at: "\(loop.folder.path)/m")
            }
            #expect(refusal.text.contains("already mounted") || refusal.text.contains("busy"))
        }
    }

    @Test("A claim ends with its descriptor")
    func release() throws {
        let loop = try LoopDevice()
        try run("mkfs.ext4", "-q", loop.node)
        let device = try #require(try source.device(in: loop.port))
        _ = try source.claim(device, readOnly: false)
        _ = try Mounted(loop.node, at: "\(loop.folder.path)/m")
    }

    @Test("What is mounted cannot be claimed, and the error says where it is mounted and what to do")
    func mountBeforeClaim() throws {
        let loop = try LoopDevice(partitions: 1)
        let device = try #require(try source.device(in: loop.partition(1)))
        let disk = try #require(try source.device(in: loop.port))
        try run("mkfs.ext4", "-q", "\(loop.node)p1")
        let mounted = try Mounted("\(loop.node)p1", at: "\(loop.folder.path)/m")
        #expect(
            throws: SourceError(
                .inUse(.mounted(mounted.place)), "\(device.name) is in use: mounted on \(mounted.place)",
                remedy: "Unmount it (umount \(mounted.place)) and keep the host from mounting it again.")
        ) { _ = try source.claim(device, readOnly: true) }
        #expect(
            kind { try source.claim(disk, readOnly: false) } == .inUse(.part(device.port, .mounted(mounted.place))))
    }

    @Test("The command to unmount can be copied to a shell whatever the path")
    func quoting() throws {
        let remedy = Device.Use.mounted("/a b/it's;reboot").remedy(for: "/dev/sda1")
        let command = try #require(remedy.split(separator: "(umount ").last?.split(separator: ") and").first)
        #expect(try run("sh", "-c", "printf %s \(command)") == "/a b/it's;reboot")
    }

    @Test("A device that the kernel is busy with for a reason that no table shows is in use all the same")
    func busy() throws {
        let loop = try LoopDevice(partitions: 2)
        let disk = try #require(try source.device(in: loop.port))
        let first = try #require(try source.device(in: loop.partition(1)))
        let second = try #require(try source.device(in: loop.partition(2)))
        try withExtendedLifetime(try source.claim(first, readOnly: false)) {
            let hasty = HostSource(root: .host, patience: .zero)
            #expect(kind { try hasty.claim(first, readOnly: true) } == .inUse(.busy))
            #expect(kind { try hasty.claim(disk, readOnly: false) } == .inUse(.busy))
            _ = try source.claim(second, readOnly: false)
        }
        _ = try source.claim(disk, readOnly: false)
    }

    @Test("What can only be read is claimed for reading only")
    func readOnly() throws {
        let loop = try LoopDevice(readOnly: true)
        let device = try #require(try source.device(in: loop.port))
        #expect(kind { try source.claim(device, readOnly: false) } == .readOnlyOnly)
        let claim = try source.claim(device, readOnly: true)
        #expect(throws: SystemCallError.self) { try claim.write([0]) }
    }

    @Test("A claim for writing can be written to, one for reading cannot")
    func access() throws {
        let loop = try LoopDevice()
        let device = try #require(try source.device(in: loop.port))
        let claim = try source.claim(device, readOnly: false)
        try claim.write([UInt8](repeating: 7, count: 512))
        let other = try LoopDevice()
        let reader = try source.claim(#require(try source.device(in: other.port)), readOnly: true)
        #expect(throws: SystemCallError.self) { try reader.write([UInt8](repeating: 7, count: 512)) }
    }

    /// Each change happens to a node of our own, between listing and claim: nobody else can come in between.
    @Test("Another device under the same name is not taken for the one that was listed")
    func replaced() throws {
        let (one, two) = (try LoopDevice(), try LoopDevice())
        let folder = try TemporaryFolder()
        try folder.link("sys", to: "/sys")
        try folder.link("dev/\(one.port)", to: two.node)
        let other = HostSource(root: Root(folder.path))
        let device = try #require(try other.device(in: one.port))
        #expect(kind { try other.claim(device, readOnly: false) } == .changed)
    }

    @Test("A node that is not there any more is gone; one that is no device is not opened as one")
    func missingNode() throws {
        let loop = try LoopDevice()
        let folder = try TemporaryFolder()
        try folder.link("sys", to: "/sys")
        let other = HostSource(root: Root(folder.path))
        let device = try #require(try other.device(in: loop.port))
        #expect(kind { try other.claim(device, readOnly: false) } == .gone)
        try folder.write("dev/\(loop.port)", "no device")
        #expect(kind { try other.claim(device, readOnly: false) } == .changed)
    }

    private func changed(_ device: Device, sequence: UInt64?? = nil, size: UInt64? = nil) throws -> Device {
        let block = try #require(device.block)
        return Device(
            .block, source: device.source, port: device.port, title: device.title, canonical: device.canonical,
            details: .block(
                Device.Block(
                    node: block.node, number: block.number, sequence: sequence ?? block.sequence,
                    size: size ?? block.size, isReadOnly: block.isReadOnly, serial: block.serial,
                    parent: block.parent)))
    }

    @Test("The same name, number and size with another sequence number is another device")
    func sequence() throws {
        let loop = try LoopDevice()
        let device = try #require(try source.device(in: loop.port))
        let sequence = try #require(device.block?.sequence)
        #expect(kind { try source.claim(changed(device, sequence: sequence - 1), readOnly: false) } == .changed)
        _ = try source.claim(changed(device, sequence: .some(nil)), readOnly: false)
    }

    @Test("A device that has been resized since is not what was listed")
    func resized() throws {
        let loop = try LoopDevice(mebibytes: 4)
        let device = try #require(try source.device(in: loop.port))
        #expect(truncate(loop.file, 8 << 20) == 0)
        try run("losetup", "-c", loop.node)
        #expect(kind { try source.claim(device, readOnly: false) } == .changed)
    }

    @Test("A loop device that has lost its file, or got another, is not claimed for the one that was listed")
    func detached() throws {
        let loop = try LoopDevice()
        let device = try #require(try source.device(in: loop.port))
        try loop.detach()
        // As long as anybody else has it open, a fork of another test's for instance, the kernel keeps the file.
        guard BlockFolder(path: "/sys/block/\(loop.port)").backingFile != loop.file else { return }
        // Another test may take the number at once: then it is a changed device or in use, else a gone one.
        switch kind({ try HostSource(root: .host, patience: .zero).claim(device, readOnly: false) }) {
        case .gone, .changed, .inUse: break
        case let other: Issue.record("\(String(describing: other))")
        }
    }

    @Test("Somebody who has the device for a moment only is waited for")
    func momentaryHolder() async throws {
        let loop = try LoopDevice()
        let device = try #require(try source.device(in: loop.port))
        var holder: Descriptor? = try source.claim(device, readOnly: false)
        #expect(
            kind { try HostSource(root: .host, patience: .zero).claim(device, readOnly: true) } == .inUse(.busy))
        let waiting = Thread.claim(device, from: source)
        withExtendedLifetime(holder) {}
        holder = nil
        #expect(await waiting.value == nil)
    }

    @Test("Only block devices of this host can be claimed here")
    func foreign() throws {
        let usb = try Device(
            .usb, source: .host, port: Port("2-1", of: .usb), title: "", canonical: CanonicalDevice(key: "usb-x"))
        #expect(kind { try source.claim(usb, readOnly: false) } == .unreadable)
    }
}

extension Thread {
    /// Claims on a thread of its own, since waiting would hold up other tests; answers what the claim failed with.
    fileprivate static func claim(_ device: Device, from source: HostSource) -> Task<SourceError?, Never> {
        Task {
            await withCheckedContinuation { continuation in
                Thread.detachNewThread {
                    do throws(SourceError) {
                        _ = try source.claim(device, readOnly: false)
                        continuation.resume(returning: nil)
                    } catch {
                        continuation.resume(returning: error)
                    }
                }
            }
        }
    }
}
