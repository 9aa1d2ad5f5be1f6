/// A reply in the very form in which QEMU writes most of them: `{"return": VALUE, "id": N}`, with nothing nested deeper
/// than a flat object and no text that needs an escape.
///
/// The first use of a JSON reader costs more than all else that a start without devices does. What is not exactly of
/// this form is no error: it is left to the JSON reader.
struct QMPPlainReply: Equatable {
    /// A value without members.
    enum Scalar: Equatable {
        case text(String)
        case number(Int64)
        case truth(Bool)
    }

    /// What comes back.
    enum Value: Equatable {
        case scalar(Scalar)
        case object([Member])
    }

    /// One member of a flat object.
    struct Member: Equatable {
        let name: String
        let value: Scalar
    }

    /// Which command it answers.
    let id: Int64
    /// The answer.
    let value: Value

    /// Reads a line; nil for one of another form.
    init?(_ line: [UInt8]) {
        var rest = Rest(bytes: line[...])
        guard rest.skip(#"{"return": "#), let value = rest.value(), rest.skip(#", "id": "#),
            let id = rest.number(), rest.skip("}"), rest.bytes.isEmpty
        else { return nil }
        self.id = id
        self.value = value
    }

    /// The reply as what is expected of its command; nil when that is more than can be told here.
    func reply<Reply>(as type: Reply.Type) -> Reply? {
        if type == QMP.Nothing.self { return QMP.Nothing() as? Reply }
        switch value {
        case .scalar(.text(let text)): return type == String.self ? text as? Reply : nil
        case .scalar(.number(let number)): return type == Int64.self ? number as? Reply : nil
        case .scalar(.truth): return nil
        case .object(let members):
            if type == QMP.Status.self, case .text(let status)? = members.only("status") {
                return QMP.Status(status: status) as? Reply
            }
            if type == QMP.Name.self, case .text(let name)? = members.only("name") {
                return QMP.Name(name: name) as? Reply
            }
            if type == QMP.FDSetNumber.self, case .number(let number)? = members.only("fdset-id") {
                return QMP.FDSetNumber(number: number) as? Reply
            }
            return nil
        }
    }

    /// Whether a line is QEMU's greeting as QEMU writes it; nothing of it is read.
    static func isGreeting(_ line: [UInt8]) -> Bool {
        line.starts(with: #"{"QMP": {"version": {"qemu": {"micro": "#.utf8)
            && line.suffix(3) == ArraySlice(#"]}}"#.utf8)
    }
}

extension [QMPPlainReply.Member] {
    /// The value of a member that is there once.
    fileprivate func only(_ name: String) -> QMPPlainReply.Scalar? {
        let all = filter { $0.name == name }
        return all.count == 1 ? all.first?.value : nil
    }
}

/// What is not read yet.
private struct Rest {
    var bytes: ArraySlice<UInt8>

    mutating func skip(_ text: StaticString) -> Bool {
        let wanted = unsafe UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)
        guard unsafe bytes.starts(with: wanted) else { return false }
        bytes = bytes.dropFirst(text.utf8CodeUnitCount)
        return true
    }

    mutating func value() -> QMPPlainReply.Value? {
        guard skip("{") else { return scalar().map { .scalar($0) } }
        var members: [QMPPlainReply.Member] = []
        if skip("}") { return .object(members) }
        repeat {
            guard let name = text(), skip(": "), let value = scalar() else { return nil }
            members.append(QMPPlainReply.Member(name: name, value: value))
        } while skip(", ")
        return skip("}") ? .object(members) : nil
    }

    mutating func scalar() -> QMPPlainReply.Scalar? {
        if let text = text() { return .text(text) }
        if let number = number() { return .number(number) }
        if skip("true") { return .truth(true) }
        return skip("false") ? .truth(false) : nil
    }

    /// Printable ASCII without an escape.
    mutating func text() -> String? {
        let quote = UInt8(ascii: "\"")
        guard bytes.first == quote else { return nil }
        let inner = bytes.dropFirst().prefix { $0 != quote }
        guard inner.endIndex < bytes.endIndex,
            inner.allSatisfy({ (0x20...0x7e).contains($0) && $0 != UInt8(ascii: "\\") })
        else { return nil }
        bytes = bytes.dropFirst(inner.count + 2)
        return String(decoding: inner, as: UTF8.self)
    }

    /// A whole number of up to 18 digits as JSON writes it.
    mutating func number() -> Int64? {
        let isNegative = bytes.first == UInt8(ascii: "-")
        let digits = bytes.dropFirst(isNegative ? 1 : 0).prefix {
            $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9")
        }
        guard (1...18).contains(digits.count), digits.count == 1 || digits.first != UInt8(ascii: "0") else {
            return nil
        }
        bytes = bytes[digits.endIndex...]
        let amount = digits.reduce(Int64(0)) { $0 &* 10 &+ Int64($1 &- UInt8(ascii: "0")) }
        return isNegative ? 0 &- amount : amount
    }
}
