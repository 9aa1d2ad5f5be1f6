import Devices
import Testing

@Suite("What names a device that was plugged in")
struct PlugTests {
    @Test(
        "Class and number, whatever follows",
        arguments: [
            ("usb:189:4", "usb:189:4"), ("block:8:16:17", "block:8:16"), ("mic:116:7:a:b", "mic:116:7"),
            ("block:8:16:", "block:8:16"),
        ])
    func good(text: String, plug: String) throws {
        #expect(try Plug(parsing: text).description == plug)
    }

    @Test(
        "Anything else is refused",
        arguments: ["", "usb", "usb:189", "sound:1:2", "usb:-1:2", "usb:1:2x", "usb:4294967296:1", "usb::"])
    func bad(text: String) {
        #expect(throws: SyntaxError.self) { try Plug(parsing: text) }
    }
}
