internal import Devices

/// How an assignment is written in a line: `target class device mode [options]`.
enum RowFormat {
    /// An assignment read from a line.
    struct Row: Equatable {
        let assignment: Assignment
        /// Where in the line the mode begins; mode and options are from there to its end.
        let modeStart: Int
    }

    /// Reads a line that is a row, given without its end.
    static func parse(_ line: ArraySlice<UInt8>) throws(RowFault) -> Row {
        let fields = line.split(whereSeparator: isBlank)
        if let missing = TableProblem.Field.allCases.prefix(4).dropFirst(fields.count).first {
            throw RowFault("the \(missing.rawValue) is missing: expected 'target class device mode [options]'")
        }
        if let extra = fields.dropFirst(5).first {
            throw RowFault(
                "'\(printable(extra, limit: 80))' is a field too many: expected 'target class device mode [options]' "
                    + #"(a space inside a field is written \040, a comment has a line of its own)"#)
        }
        var rest = fields[...]
        guard let targetField = rest.popFirst(), let classField = rest.popFirst(),
            let deviceField = rest.popFirst(),
            let modeField = rest.popFirst()
        else { throw RowFault("expected 'target class device mode [options]'") }

        let targetText = try text(targetField, .target)
        let target = try reading(.target) { () throws(SyntaxError) in try VMName(targetText) }
        let classText = try text(classField, .deviceClass)
        let deviceClass = try reading(.deviceClass) { () throws(SyntaxError) in try DeviceClass(parsing: classText)
        }
        let deviceText = try text(deviceField, .device)
        let device = try reading(.device) { () throws(SyntaxError) in
            try DeviceReference(parsing: deviceText, of: deviceClass)
        }
        let modeText = try text(modeField, .mode)
        let mode = try reading(.mode) { () throws(SyntaxError) in try AssignmentMode(parsing: modeText) }
        let options = try options(rest.popFirst(), of: deviceClass)
        let assignment = try reading(target.isHost ? .target : .device) { () throws(SyntaxError) in
            try Assignment(target: target, device: device, mode: mode, options: options)
        }
        return Row(assignment: assignment, modeStart: modeField.startIndex)
    }

    /// The line of an assignment, without its end.
    static func line(of assignment: Assignment) -> [UInt8] {
        let words = [assignment.target.description, assignment.device.deviceClass.rawValue, "\(assignment.device)"]
        return Array(words.map { FieldEscapes.encoded($0) }.joined(separator: [space])) + [space]
            + modeAndOptions(of: assignment)
    }

    /// The last two fields of the line of an assignment.
    static func modeAndOptions(of assignment: Assignment) -> [UInt8] {
        let comma = UInt8(ascii: ",")
        let options = assignment.options.entries.map {
            FieldEscapes.encoded("\($0.key)=\($0.value)", also: [comma])
        }
        let field = options.isEmpty ? noOptions : Array(options.joined(separator: [comma]))
        return Array(assignment.mode.rawValue.utf8) + [space] + field
    }

    private static let space = UInt8(ascii: " ")
    private static let noOptions = [UInt8(ascii: "-")]

    /// Commas part options before escapes are decoded, so that `\054` is a comma of a value.
    private static func options(
        _ field: ArraySlice<UInt8>?, of deviceClass: DeviceClass
    ) throws(RowFault) -> DeviceOptions {
        guard let field, !field.elementsEqual(noOptions) else { return .none }
        var pairs: [(key: String, value: String)] = []
        for part in field.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false) {
            let option = try text(part, .options)
            pairs.append(
                try reading(.options) { () throws(SyntaxError) in try DeviceOptions.pair(parsing: option) })
        }
        return try reading(.options) { () throws(SyntaxError) in try DeviceOptions(pairs, of: deviceClass) }
    }

    private static func text(_ field: ArraySlice<UInt8>, _ name: TableProblem.Field) throws(RowFault) -> String {
        guard let bytes = FieldEscapes.decoded(field) else {
            throw RowFault(
                name,
                "'\(printable(field, limit: 80))' has a backslash that begins no escape: expected three octal digits "
                    + #"after it, 377 at most, such as \040 for a space"#)
        }
        guard !bytes.contains(0) else {
            throw RowFault(name, "it holds a NUL byte: expected UTF-8 text; the file may be damaged, restore it")
        }
        do {
            return String(copying: try UTF8Span(validating: bytes.span))
        } catch {
            throw RowFault(name, "'\(printable(bytes, limit: 80))' is not UTF-8 text: expected a file in UTF-8")
        }
    }

    private static func reading<Value>(
        _ field: TableProblem.Field, _ read: () throws(SyntaxError) -> Value
    ) throws(RowFault) -> Value {
        do {
            return try read()
        } catch {
            throw RowFault(field, error)
        }
    }
}
