/// An element of an XML document: what we write is made from these, and what we read becomes them.
struct XMLElement: Equatable, Sendable {
    let name: String
    let attributes: [Attribute]
    let children: [XMLElement]
    /// All text directly in it, joined.
    let text: String

    struct Attribute: Equatable, Sendable {
        let name: String
        let value: String
    }

    /// An element with attributes in this order; those without a value are left out.
    init(
        _ name: String, _ attributes: KeyValuePairs<String, String?> = [:], _ children: [XMLElement?] = [],
        text: String = ""
    ) {
        self.name = name
        self.attributes = attributes.compactMap { name, value in value.map { Attribute(name: name, value: $0) } }
        self.children = children.compactMap(\.self)
        self.text = text
    }

    init(name: String, attributes: [Attribute], children: [XMLElement], text: String) {
        self.name = name
        self.attributes = attributes
        self.children = children
        self.text = text
    }

    /// The value of an attribute; nil when there is none.
    subscript(_ attribute: String) -> String? { attributes.first { $0.name == attribute }?.value }

    /// The first child of that name.
    func first(_ name: String) -> XMLElement? { children.first { $0.name == name } }

    /// All children of that name.
    func all(_ name: String) -> [XMLElement] { children.filter { $0.name == name } }

    /// The element as text. Whatever is in a value stays a value.
    var xml: String {
        let opening = name + attributes.map { " \($0.name)='\(XMLElement.escaped($0.value))'" }.joined()
        if children.isEmpty && text.isEmpty { return "<\(opening)/>" }
        return "<\(opening)>\(XMLElement.escaped(text))\(children.map(\.xml).joined())</\(name)>"
    }

    /// What XML cannot hold at all becomes the replacement character, so that nothing is cut short.
    private static func escaped(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "'": result += "&apos;"
            case "\"": result += "&quot;"
            case "\t", "\n", "\r": result += "&#\(scalar.value);"
            case _ where isAllowed(scalar): result.unicodeScalars.append(scalar)
            default: result += "\u{FFFD}"
            }
        }
        return result
    }

    /// The production Char of XML 1.0.
    static func isAllowed(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x9, 0xA, 0xD, 0x20...0xD7FF, 0xE000...0xFFFD, 0x10000...0x10FFFF: true
        default: false
        }
    }
}
