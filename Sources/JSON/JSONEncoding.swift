/// Writes an Encodable value as JSON, the members of each object in the order of their names.
public func encodeJSON(_ value: some Encodable) throws -> [UInt8] {
    let node = JSONNode()
    try value.encode(to: ValueEncoder(node: node, codingPath: []))
    return node.value.text
}

/// A place in a text that is being made; what is written there is written into it, whoever else holds it.
final class JSONNode {
    enum Content {
        case nothing
        case single(JSONValue)
        case array([JSONNode])
        case object([(name: String, node: JSONNode)])
    }

    var content = Content.nothing

    /// An empty object for what wrote nothing at all, as Foundation has it.
    var value: JSONValue {
        switch content {
        case .nothing: .object([])
        case .single(let value): value
        case .array(let nodes): .array(nodes.map(\.value))
        case .object(let members): .object(members.map { JSONValue.Member($0.name, $0.node.value) })
        }
    }

    /// A new element at the end.
    func append() -> JSONNode {
        let node = JSONNode()
        if case .array(let nodes) = content { content = .array(nodes + [node]) } else { content = .array([node]) }
        return node
    }

    /// A new member.
    func append(_ name: String) -> JSONNode {
        let node = JSONNode()
        if case .object(let members) = content {
            content = .object(members + [(name, node)])
        } else {
            content = .object([(name, node)])
        }
        return node
    }

    var count: Int { if case .array(let nodes) = content { nodes.count } else { 0 } }
}

private struct ValueEncoder: Encoder {
    let node: JSONNode
    let codingPath: [any CodingKey]
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        if case .object = node.content {} else { node.content = .object([]) }
        return KeyedEncodingContainer(KeyedTexts(node: node, codingPath: codingPath))
    }

    func unkeyedContainer() -> any UnkeyedEncodingContainer {
        if case .array = node.content {} else { node.content = .array([]) }
        return UnkeyedTexts(node: node, codingPath: codingPath)
    }

    func singleValueContainer() -> any SingleValueEncodingContainer {
        SingleText(node: node, codingPath: codingPath)
    }
}

private struct KeyedTexts<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let node: JSONNode
    let codingPath: [any CodingKey]

    func encodeNil(forKey key: Key) { node.append(key.stringValue).content = .single(.null) }
    func encode(_ value: Bool, forKey key: Key) { node.append(key.stringValue).content = .single(.bool(value)) }
    func encode(_ value: String, forKey key: Key) { node.append(key.stringValue).content = .single(.string(value)) }
    func encode(_ value: Double, forKey key: Key) throws {
        node.append(key.stringValue).content = .single(try number(value, codingPath + [key]))
    }
    func encode(_ value: Float, forKey key: Key) throws {
        node.append(key.stringValue).content = .single(try number(value, codingPath + [key]))
    }
    func encode(_ value: Int, forKey key: Key) {
        node.append(key.stringValue).content = .single(.number(String(value)))
    }
    func encode(_ value: Int8, forKey key: Key) {
        node.append(key.stringValue).content = .single(.number(String(value)))
    }
    func encode(_ value: Int16, forKey key: Key) {
        node.append(key.stringValue).content = .single(.number(String(value)))
    }
    func encode(_ value: Int32, forKey key: Key) {
        node.append(key.stringValue).content = .single(.number(String(value)))
    }
    func encode(_ value: Int64, forKey key: Key) {
        node.append(key.stringValue).content = .single(.number(String(value)))
    }
    func encode(_ value: UInt, forKey key: Key) {
        node.append(key.stringValue).content = .single(.number(String(value)))
    }
    func encode(_ value: UInt8, forKey key: Key) {
        node.append(key.stringValue).content = .single(.number(String(value)))
    }
    func encode(_ value: UInt16, forKey key: Key) {
        node.append(key.stringValue).content = .single(.number(String(value)))
    }
    func encode(_ value: UInt32, forKey key: Key) {
        node.append(key.stringValue).content = .single(.number(String(value)))
    }
    func encode(_ value: UInt64, forKey key: Key) {
        node.append(key.stringValue).content = .single(.number(String(value)))
    }

    func encode(_ value: some Encodable, forKey key: Key) throws {
        try value.encode(to: encoder(key))
    }

    func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type, forKey key: Key
    ) -> KeyedEncodingContainer<Nested> {
        encoder(key).container(keyedBy: type)
    }

    func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer { encoder(key).unkeyedContainer() }
    func superEncoder() -> any Encoder { ValueEncoder(node: node, codingPath: codingPath) }
    func superEncoder(forKey key: Key) -> any Encoder { encoder(key) }

    private func encoder(_ key: Key) -> ValueEncoder {
        ValueEncoder(node: node.append(key.stringValue), codingPath: codingPath + [key])
    }
}

private struct UnkeyedTexts: UnkeyedEncodingContainer {
    let node: JSONNode
    let codingPath: [any CodingKey]
    var count: Int { node.count }

    func encodeNil() { node.append().content = .single(.null) }
    func encode(_ value: Bool) { node.append().content = .single(.bool(value)) }
    func encode(_ value: String) { node.append().content = .single(.string(value)) }
    func encode(_ value: Double) throws { node.append().content = .single(try number(value, codingPath)) }
    func encode(_ value: Float) throws { node.append().content = .single(try number(value, codingPath)) }
    func encode(_ value: Int) { node.append().content = .single(.number(String(value))) }
    func encode(_ value: Int8) { node.append().content = .single(.number(String(value))) }
    func encode(_ value: Int16) { node.append().content = .single(.number(String(value))) }
    func encode(_ value: Int32) { node.append().content = .single(.number(String(value))) }
    func encode(_ value: Int64) { node.append().content = .single(.number(String(value))) }
    func encode(_ value: UInt) { node.append().content = .single(.number(String(value))) }
    func encode(_ value: UInt8) { node.append().content = .single(.number(String(value))) }
    func encode(_ value: UInt16) { node.append().content = .single(.number(String(value))) }
    func encode(_ value: UInt32) { node.append().content = .single(.number(String(value))) }
    func encode(_ value: UInt64) { node.append().content = .single(.number(String(value))) }
    func encode(_ value: some Encodable) throws { try value.encode(to: encoder()) }

    func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type) -> KeyedEncodingContainer<Nested> {
        encoder().container(keyedBy: type)
    }

    func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer { encoder().unkeyedContainer() }
    func superEncoder() -> any Encoder { encoder() }

    private func encoder() -> ValueEncoder {
        let index = count
        return ValueEncoder(node: node.append(), codingPath: codingPath + [JSONKey(index: index)])
    }
}

private struct SingleText: SingleValueEncodingContainer {
    let node: JSONNode
    let codingPath: [any CodingKey]

    func encodeNil() { node.content = .single(.null) }
    func encode(_ value: Bool) { node.content = .single(.bool(value)) }
    func encode(_ value: String) { node.content = .single(.string(value)) }
    func encode(_ value: Double) throws { node.content = .single(try number(value, codingPath)) }
    func encode(_ value: Float) throws { node.content = .single(try number(value, codingPath)) }
    func encode(_ value: Int) { node.content = .single(.number(String(value))) }
    func encode(_ value: Int8) { node.content = .single(.number(String(value))) }
    func encode(_ value: Int16) { node.content = .single(.number(String(value))) }
    func encode(_ value: Int32) { node.content = .single(.number(String(value))) }
    func encode(_ value: Int64) { node.content = .single(.number(String(value))) }
    func encode(_ value: UInt) { node.content = .single(.number(String(value))) }
    func encode(_ value: UInt8) { node.content = .single(.number(String(value))) }
    func encode(_ value: UInt16) { node.content = .single(.number(String(value))) }
    func encode(_ value: UInt32) { node.content = .single(.number(String(value))) }
    func encode(_ value: UInt64) { node.content = .single(.number(String(value))) }
    func encode(_ value: some Encodable) throws {
        try value.encode(to: ValueEncoder(node: node, codingPath: codingPath))
    }
}

/// JSON has no infinity, and nothing that is not a number.
private func number<Number: BinaryFloatingPoint & CustomStringConvertible>(
    _ value: Number, _ path: [any CodingKey]
) throws -> JSONValue {
    guard value.isFinite else {
        throw EncodingError.invalidValue(
            value, EncodingError.Context(codingPath: path, debugDescription: "JSON has no such number"))
    }
    return .number(value.description)
}
