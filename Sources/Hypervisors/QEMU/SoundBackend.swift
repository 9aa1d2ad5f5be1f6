internal import Platform

/// A sound backend that QEMU was started with, by its command line: QMP does not tell it (query-audiodevs, of QEMU 8.0
/// and later, has no more).
struct SoundBackend: Equatable {
    /// The name of its driver ("alsa").
    let driver: String
    /// The device that it records from, where one is named.
    let input: String?

    /// Finds the backend with that id among the arguments of QEMU; nil when there is none in QEMU's own short form.
    init?(id: String, in arguments: [String]) {
        for (option, value) in zip(arguments, arguments.dropFirst())
        where ["-audiodev", "--audiodev"].contains(option) {
            let parts = SoundBackend.parts(of: value)
            guard parts.contains("id=\(id)"), let first = parts.first else { continue }
            driver = first.hasPrefix("driver=") ? String(first.dropFirst(7)) : first
            input = parts.last { $0.hasPrefix("in.dev=") }.map { String($0.dropFirst(7)) }
            return
        }
        return nil
    }

    /// Whether it records from a sound card without anything in between, whose node the process then has open.
    var isDirect: Bool {
        driver == "alsa" && ["hw:", "plughw:", "dsnoop:"].contains { input?.hasPrefix($0) == true }
    }

    /// A doubled comma is one that belongs to the value.
    private static func parts(of value: String) -> [String] {
        var parts = [""]
        var rest = Substring(value)
        while let character = rest.popFirst() {
            if character == ",", rest.first == "," {
                rest = rest.dropFirst()
            } else if character == "," {
                parts.append("")
                continue
            }
            parts[parts.count - 1].append(character)
        }
        return parts
    }
}

/// The command line of a process; empty for one that has gone, or that we may not see.
func arguments(of pid: Int32) -> [String] {
    guard let bytes = try? contents(of: "/proc/\(pid)/cmdline") else { return [] }
    return bytes.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
}

/// Whether a process has that file open; nil when that cannot be found out.
func isOpen(_ file: String, in pid: Int32) -> Bool? {
    guard let descriptors = try? names(in: "/proc/\(pid)/fd") else { return nil }
    return descriptors.contains { (try? resolved("/proc/\(pid)/fd/\($0)")) == file }
}
