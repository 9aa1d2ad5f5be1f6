/// A span of time as systemd writes it (systemd.time(7)): `10`, `10s`, `1min 30s`, `500ms`, `1.5h`, `infinity`.
public struct TimeSpan: Hashable, Sendable, CustomStringConvertible {
    /// How long; `infinity` is about 136 years, more than any deadline counts.
    public let duration: Duration

    /// `infinity`.
    public static let infinity = TimeSpan(duration: .seconds(UInt32.max))

    /// What can be written, for messages.
    public static let expectation = "a time span such as 10, 10s, 1min 30s, 500ms or infinity"

    private init(duration: Duration) { self.duration = duration }

    /// Reads a span; a number without a unit is seconds. Nil when it is none, or longer than `infinity`.
    public init?(_ text: some StringProtocol) {
        if text.trimmingBlanks == "infinity" {
            self = .infinity
            return
        }
        var rest = Array(text.utf8)[...]
        var total: Int64 = 0
        var hasPart = false
        while true {
            rest = rest.drop(while: isBlank)
            if rest.isEmpty { break }
            guard let part = TimeSpan.microseconds(&rest) else { return nil }
            let sum = total.addingReportingOverflow(part)
            guard !sum.overflow, sum.partialValue <= Int64(UInt32.max) * 1_000_000 else { return nil }
            total = sum.partialValue
            hasPart = true
        }
        guard hasPart else { return nil }
        duration = .microseconds(total)
    }

    /// The one form in which it is stored: `90s`, `500ms`, `250us`, `infinity`.
    public var description: String {
        if self == .infinity { return "infinity" }
        let (seconds, attoseconds) = duration.components
        let microseconds = attoseconds / 1_000_000_000_000
        if microseconds == 0 { return "\(seconds)s" }
        let total = seconds * 1_000_000 + microseconds
        return total % 1000 == 0 ? "\(total / 1000)ms" : "\(total)us"
    }

    /// Takes a number with its unit off the text.
    private static func microseconds(_ rest: inout ArraySlice<UInt8>) -> Int64? {
        let whole = rest.prefix(while: isDigit)
        rest = rest.dropFirst(whole.count)
        var fraction: ArraySlice<UInt8> = []
        if rest.first == UInt8(ascii: ".") {
            fraction = rest.dropFirst().prefix(while: isDigit)
            guard !fraction.isEmpty else { return nil }
            rest = rest.dropFirst(1 + fraction.count)
        }
        guard !(whole.isEmpty && fraction.isEmpty), let value = whole.isEmpty ? 0 : number(whole) else {
            return nil
        }
        rest = rest.drop(while: isBlank)
        let unit = rest.prefix { !isBlank($0) && !isDigit($0) && $0 != UInt8(ascii: ".") }
        rest = rest.dropFirst(unit.count)
        guard rest.first != UInt8(ascii: ".") else { return nil }
        guard let factor = unit.isEmpty ? 1_000_000 : factor(of: String(decoding: unit, as: UTF8.self)) else {
            return nil
        }
        let product = value.multipliedReportingOverflow(by: factor)
        guard !product.overflow else { return nil }
        var result = product.partialValue
        var step = factor
        for digit in fraction {
            step /= 10
            let sum = result.addingReportingOverflow(Int64(digit - UInt8(ascii: "0")) * step)
            guard !sum.overflow else { return nil }
            result = sum.partialValue
        }
        return result
    }

    private static func number(_ digits: ArraySlice<UInt8>) -> Int64? {
        Int64(String(decoding: digits, as: UTF8.self))
    }

    /// Microseconds; a month is 30.44 days and a year 365.25, as systemd counts.
    private static func factor(of unit: String) -> Int64? {
        let second: Int64 = 1_000_000
        return switch unit {
        case "us", "usec", "µs", "μs": 1
        case "ms", "msec": 1000
        case "s", "sec", "second", "seconds": second
        case "m", "min", "minute", "minutes": 60 * second
        case "h", "hr", "hour", "hours": 3600 * second
        case "d", "day", "days": 86_400 * second
        case "w", "week", "weeks": 604_800 * second
        case "M", "month", "months": 2_629_800 * second
        case "y", "year", "years": 31_557_600 * second
        default: nil
        }
    }
}

private func isDigit(_ byte: UInt8) -> Bool { byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") }

private func isBlank(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }

extension StringProtocol {
    /// Without spaces and tabs at both ends.
    package var trimmingBlanks: String {
        let bytes = Array(utf8)
        let tail = bytes.drop(while: isBlank).reversed().drop(while: isBlank)
        return String(decoding: tail.reversed(), as: UTF8.self)
    }
}
