/// Makes a text of unknown origin safe for a terminal, the journal and a table row: control characters, escape
/// sequences, line breaks and the marks that reorder text (Unicode bidi) become "?", and what is longer than `limit`
/// characters is cut with "…".
public func printable(_ text: some StringProtocol, limit: Int = 256) -> String {
    // Nearly all of it is plain ASCII, and a table of a thousand rows has many; what is generic is several times slower.
    let text = String(text)
    let bytes = text.utf8
    if bytes.count <= limit, bytes.allSatisfy({ $0 >= 0x20 && $0 < 0x7f }) { return text }
    var result = String.UnicodeScalarView()
    var count = 0
    for scalar in text.unicodeScalars {
        if count == limit {
            result.append("…")
            break
        }
        result.append(isHarmless(scalar) ? scalar : "?")
        count += 1
    }
    return String(result)
}

/// The same for bytes; what is not UTF-8 becomes "\u{FFFD}".
public func printable(_ bytes: some Collection<UInt8>, limit: Int = 256) -> String {
    printable(String(decoding: bytes.prefix(limit * 4 + 4), as: UTF8.self), limit: limit)
}

private func isHarmless(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned: false
    case .spaceSeparator: scalar == " "
    default: true
    }
}
