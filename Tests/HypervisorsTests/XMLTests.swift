import TestSupport
import Testing

@testable import Hypervisors

/// What libvirt writes is read; what nobody should write is refused, and nothing that is read or written is cut short.
struct XMLTests {
    @Test("Whatever a value holds, it is read back as it was written")
    func roundTrip() throws {
        let nasty = "a'b\"c<d>&e&amp;\n\t ]]> <!-- x --> é 🙂"
        let element = XMLElement(
            "disk", ["type": nasty, "none": nil],
            [XMLElement("serial", text: nasty), nil, XMLElement("alias", ["name": ""])])
        let again = try XMLElement(parsing: Array(element.xml.utf8))
        #expect(again == element)
        #expect(again["type"] == nasty && again["none"] == nil)
        #expect(again.first("serial")?.text == nasty)
    }

    @Test("Every random tree is read back as it was written")
    func randomTrees() throws {
        var random = SeededGenerator(seed: 7)
        func tree(_ depth: Int) -> XMLElement {
            let names = ["a", "disk", "qemu:arg", "x-y.z_0"]
            let attributes = Set((0..<Int.random(in: 0...3, using: &random)).map { "n\($0)" }).sorted().map {
                XMLElement.Attribute(
                    name: $0, value: random.text(0...8) + ["", "\n", "\t\r"][Int(random.next() % 3)])
            }
            // Text and elements beside each other are not written in the order in which they were read.
            let isLeaf = depth == 0 || random.next() % 3 == 0
            let children = isLeaf ? [] : (0..<Int.random(in: 0...4, using: &random)).map { _ in tree(depth - 1) }
            let name = names.randomElement(using: &random) ?? "a"
            return XMLElement(
                name: name, attributes: attributes, children: children,
                text: children.isEmpty ? random.text(0...9) : "")
        }
        for _ in 0..<500 {
            let element = tree(4)
            #expect(try XMLElement(parsing: Array(element.xml.utf8)) == element)
        }
    }

    @Test("What XML cannot hold shows as a replacement and ends nothing")
    func control() throws {
        let text = XMLElement("a", ["b": "x\u{0}y\u{1b}z"]).xml
        #expect(text == "<a b='x\u{FFFD}y\u{FFFD}z'/>")
    }

    @Test("Declarations, comments, CDATA, entities and numbered characters are read")
    func read() throws {
        let text = """
            <?xml version='1.0'?><!-- a <b> --><a x="1" y = '&lt;&#65;&#x42;'>t<b/><![CDATA[<raw>&amp;]]> &quot;<c:d></c:d></a>
            """
        let element = try XMLElement(parsing: Array(text.utf8))
        #expect(element["x"] == "1" && element["y"] == "<AB")
        #expect(element.text == "t<raw>&amp; \"")
        #expect(element.children.map(\.name) == ["b", "c:d"])
    }

    @Test(
        "Everything else is refused, with where and why",
        arguments: [
            "", " ", "text", "<", "<a", "<a>", "</a>", "<a></b>", "<a/><b/>", "<a/>x", "x<a/>", "<a b/>",
            "<a b=c/>",
            "<a b='1' b='2'/>", "<a b='1'c='2'/>", "<a b='<'/>", "<a b='", "<a>&nbsp;</a>", "<a>&amp</a>",
            "<a>&#0;</a>",
            "<a>&#xD800;</a>", "<a>&#x110000;</a>", "<a>&#99999999999;</a>", "<1/>", "<-/>", "<!DOCTYPE a><a/>",
            "<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>", "<a><!ELEMENT b></a>", "<a><!-- </a>",
            "<a><![CDATA[ </a>",
            "<?xml", "<a>\u{1}</a>", "<a\u{0}/>", "< a/>", "<a / >",
        ])
    func hostile(text: String) {
        #expect(throws: XMLReader.Failure.self) { try XMLElement(parsing: Array(text.utf8)) }
    }

    @Test("What is not UTF-8 is refused")
    func encoding() {
        for bytes: [UInt8] in [[0xFF], [0xC3], [0xED, 0xA0, 0x80]] {
            #expect(throws: XMLReader.Failure.self) {
                try XMLElement(parsing: Array("<a>".utf8) + bytes + Array("</a>".utf8))
            }
            #expect(throws: XMLReader.Failure.self) {
                try XMLElement(parsing: Array("<a b='".utf8) + bytes + Array("'/>".utf8))
            }
        }
    }

    @Test("Depth, number and attributes have an end")
    func bounds() {
        let deep = String(repeating: "<a>", count: 100) + String(repeating: "</a>", count: 100)
        let many = "<a>" + String(repeating: "<b/>", count: 70_000) + "</a>"
        let wide = "<a" + (0..<100).map { " x\($0)='1'" }.joined() + "/>"
        let long = "<" + String(repeating: "a", count: 300) + "/>"
        for text in [deep, many, wide, long] {
            #expect(throws: XMLReader.Failure.self) { try XMLElement(parsing: Array(text.utf8)) }
        }
    }

    @Test("A document cut off anywhere is refused, never half read")
    func truncated() throws {
        let bytes = Array("<?xml version='1.0'?><a b='&lt;1'>t<!-- c --><d e=\"f\"/><![CDATA[x]]></a>".utf8)
        _ = try XMLElement(parsing: bytes)
        for count in bytes.indices {
            #expect(throws: XMLReader.Failure.self) { try XMLElement(parsing: Array(bytes.prefix(count))) }
        }
    }
}
