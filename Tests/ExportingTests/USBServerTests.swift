import Glibc
import Platform
import Testing

@testable import Exporting

@Suite("A USB device for another VM")
struct USBServerTests {
    @Test("What libusb does not take is refused with its reason, and the other side has not heard of it")
    func refused() throws {
        try #require(USBServer.isInstalled, "needs libusbredirhost.so.1 (apt-get install libusbredirhost1)")
        var ends: [Int32] = [0, 0]
        try #require(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0)
        let (ours, theirs) = (Descriptor(owning: ends[0]), Descriptor(owning: ends[1]))
        let device = try Descriptor.open("/dev/null", .readWrite)
        do throws(USBServer.Failure) {
            _ = try USBServer(device, input: ours, output: ours)
            Issue.record("/dev/null is no USB device")
        } catch {
            #expect(error.message.hasPrefix("libusb does not take it (LIBUSB_ERROR_"), "\(error)")
        }
        var byte: UInt8 = 0
        #expect(recv(theirs.raw, &byte, 1, Int32(MSG_DONTWAIT)) < 0 && errno == EAGAIN)
    }
}
