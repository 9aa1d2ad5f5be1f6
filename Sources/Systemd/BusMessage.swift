internal import CSystemd
internal import Glibc
internal import Platform

/// One message of sd-bus(3), and the single owner of that reference.
@safe
struct BusMessage: ~Copyable {
    /// How deep values may lie in each other, and how many there may be in one list.
    private static let (depth, count) = (8, 65_536)

    let handle: OpaquePointer

    init(owning handle: OpaquePointer) { unsafe self.handle = handle }

    deinit { unsafe sd_bus_message_unref(handle) }

    /// Adds an argument; lists and variants are only read by us.
    func append(_ value: BusValue) throws(BusError) {
        let code: Int32
        switch value {
        case .string(let text): code = unsafe sd_bus_message_append_basic(handle, CChar(UInt8(ascii: "s")), text)
        case .path(let text): code = unsafe sd_bus_message_append_basic(handle, CChar(UInt8(ascii: "o")), text)
        case .unsigned(var number):
            code = unsafe sd_bus_message_append_basic(handle, CChar(UInt8(ascii: "u")), &number)
        case .signed(var number):
            code = unsafe sd_bus_message_append_basic(handle, CChar(UInt8(ascii: "i")), &number)
        case .boolean(let truth):
            var number: Int32 = truth ? 1 : 0
            code = unsafe sd_bus_message_append_basic(handle, CChar(UInt8(ascii: "b")), &number)
        case .list, .variant: code = -EOPNOTSUPP
        }
        guard code >= 0 else { throw .broken(SystemCallError("write", "a D-Bus message", code: code)) }
    }

    /// All values of it, from where it was read up to.
    func values() throws(BusError) -> [BusValue] { try values(depth: BusMessage.depth) }

    private func values(depth: Int) throws(BusError) -> [BusValue] {
        var result: [BusValue] = []
        while let value = try next(depth: depth) {
            guard result.count < BusMessage.count else { throw .notUnderstood }
            result.append(value)
        }
        return result
    }

    /// The next value; nil at the end of the message or of the list that is being read.
    private func next(depth: Int) throws(BusError) -> BusValue? {
        var type: CChar = 0
        var contents: UnsafePointer<CChar>?
        let code = unsafe sd_bus_message_peek_type(handle, &type, &contents)
        guard code >= 0, depth > 0 else { throw .notUnderstood }
        guard code > 0 else { return nil }
        switch UInt8(bitPattern: type) {
        case UInt8(ascii: "s"): return .string(try text(type))
        case UInt8(ascii: "o"): return .path(try text(type))
        case UInt8(ascii: "u"): return .unsigned(try basic(type, UInt32(0)))
        case UInt8(ascii: "i"): return .signed(try basic(type, Int32(0)))
        case UInt8(ascii: "b"): return .boolean(try basic(type, Int32(0)) != 0)
        case UInt8(ascii: "a"), UInt8(ascii: "r"):
            return .list(try unsafe inside(type, contents) { () throws(BusError) in try values(depth: depth - 1) })
        case UInt8(ascii: "v"):
            let found = try unsafe inside(type, contents) { () throws(BusError) in try values(depth: depth - 1) }
            guard let value = found.first, found.count == 1 else { throw .notUnderstood }
            return .variant(value)
        default: throw .notUnderstood
        }
    }

    private func inside<Result>(
        _ type: CChar, _ contents: UnsafePointer<CChar>?, _ read: () throws(BusError) -> Result
    ) throws(BusError) -> Result {
        guard unsafe sd_bus_message_enter_container(handle, type, contents) > 0 else { throw .notUnderstood }
        let result = try read()
        guard unsafe sd_bus_message_exit_container(handle) >= 0 else { throw .notUnderstood }
        return result
    }

    private func basic<Number: FixedWidthInteger>(_ type: CChar, _ zero: Number) throws(BusError) -> Number {
        var number = zero
        guard unsafe sd_bus_message_read_basic(handle, type, &number) > 0 else { throw .notUnderstood }
        return number
    }

    /// sd-bus has made sure that it is UTF-8 and ends.
    private func text(_ type: CChar) throws(BusError) -> String {
        var text: UnsafePointer<CChar>?
        guard unsafe sd_bus_message_read_basic(handle, type, &text) > 0, let text = unsafe text else {
            throw .notUnderstood
        }
        return unsafe String(cString: text)
    }
}
