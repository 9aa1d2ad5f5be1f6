import Foundation
import Glibc
import Platform

/// The other end of usbredir, as a source VM would be: it says hello at once, tells of its device when QEMU has said hello,
/// and gives no answer to anything else. It is gone when the last reference goes.
final class RedirectedStick: Sendable {
    /// What it does.
    enum Manner: Sendable {
        /// Tells of a stick of that product number, by the maker 46f4.
        case gives(product: UInt16)
        /// Says nothing.
        case isSilent
        /// Sends what is not usbredir.
        case babbles
    }

    /// The end for the VM.
    let stream: Descriptor
    private let ours: Descriptor

    init(_ manner: Manner) throws {
        var ends: [Int32] = [-1, -1]
        guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue) | 0o2_000_000, 0, &ends) == 0 else {
            throw SystemCallError("make", "a pair of sockets", code: errno)
        }
        (stream, ours) = (Descriptor(owning: ends[0]), Descriptor(owning: ends[1]))
        let raw = ours.raw
        switch manner {
        case .isSilent: break
        case .babbles: try ours.write(Array(repeating: 0x61, count: 4096))
        case .gives(let product):
            try ours.write(RedirectedStick.hello)
            let copy = Descriptor(owning: fcntl(raw, F_DUPFD_CLOEXEC, 0))
            Thread.detachNewThread {
                guard let greeting = try? copy.read(upTo: 4096), !greeting.isEmpty else { return }
                try? copy.write(RedirectedStick.announcement(of: product))
                while let bytes = try? copy.read(upTo: 4096), !bytes.isEmpty {}
            }
        }
    }

    deinit { pull() }

    /// The stick is pulled: the connection ends.
    func pull() { shutdown(ours.raw, Int32(SHUT_RDWR)) }

    /// usb_redir_hello_header: a version of 64 bytes, and the capabilities that xHCI wants (usbredirproto.h).
    private static let hello =
        number(0, 4) + number(68, 4) + number(0, 4) + Array("scripted".utf8) + Array(repeating: 0, count: 56)
        + number(0b1111_0010, 4)

    /// interface_info, ep_info and device_connect of a stick: one interface, bulk in and out. With 64-bit numbers.
    private static func announcement(of product: UInt16) -> [UInt8] {
        func list(_ values: [Int: UInt8], else other: UInt8 = 0) -> [UInt8] { (0..<32).map { values[$0] ?? other } }
        let interfaces = number(1, 4) + list([:]) + list([0: 8]) + list([0: 6]) + list([0: 0x50])
        let endpoints =
            list([0: 0, 1: 2, 16: 0, 17: 2], else: 255) + list([:]) + list([:])
            + (0..<32).flatMap { _ in number(512, 2) }
        let device = [UInt8]([2, 0, 0, 0]) + number(0x46f4, 2) + number(Int(product), 2) + number(0, 2)
        return message(4, interfaces) + message(5, endpoints) + message(1, device)
    }

    private static func message(_ type: Int, _ data: [UInt8]) -> [UInt8] {
        number(type, 4) + number(data.count, 4) + number(0, 8) + data
    }

    private static func number(_ value: Int, _ size: Int) -> [UInt8] {
        (0..<size).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
    }
}
