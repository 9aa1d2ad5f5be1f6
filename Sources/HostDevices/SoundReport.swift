internal import Devices
internal import Platform

/// What ALSA tells in /proc/asound of its devices, for people; whatever is missing there is left out.
struct SoundReport {
    /// The folder, "/proc/asound".
    let folder: String
    /// The short name of each card.
    private let cards: [Int: String]

    /// Reads the names of the cards.
    init(folder: String) {
        self.folder = folder
        let bytes = (try? contents(of: "\(folder)/cards", limit: 1 << 16)) ?? []
        cards = SoundReport.cards(in: String(decoding: bytes, as: UTF8.self))
    }

    /// `HDA Intel PCH: ALC887-VD Analog`.
    func title(of device: CaptureDevice) -> String {
        let card = cards[device.card] ?? device.cardName ?? "sound card \(device.card)"
        let info = text("card\(device.card)/pcm\(device.device)c/info")
        let name = field("name", in: info) ?? field("id", in: info)
        return name.map { $0 == card ? card : "\(card): \($0)" } ?? card
    }

    /// The process that records from it now: `process 1234 (pipewire)`.
    func user(of device: CaptureDevice) -> String? {
        let pcm = "card\(device.card)/pcm\(device.device)c"
        let parts = ((try? names(in: "\(folder)/\(pcm)")) ?? []).filter { $0.hasPrefix("sub") }
        for part in parts {
            guard let pid = field("owner_pid", in: text("\(pcm)/\(part)/status")).flatMap({ Int32($0) }), pid > 0
            else { continue }
            let bytes = (try? contents(of: "/proc/\(pid)/comm", limit: 64)) ?? []
            let name = String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
            return "process \(pid)" + (name.isEmpty ? "" : " (\(printable(name, limit: 32)))")
        }
        return nil
    }

    private func text(_ file: String) -> String {
        String(decoding: (try? contents(of: "\(folder)/\(file)", limit: 4096)) ?? [], as: UTF8.self)
    }

    /// The value of a line `name: value`.
    private func field(_ name: String, in text: String) -> String? {
        for line in text.split(separator: "\n") {
            guard let colon = line.firstIndex(of: ":"), trimmed(line[..<colon]) == name else { continue }
            let value = trimmed(line[line.index(after: colon)...])
            return value.isEmpty ? nil : value
        }
        return nil
    }

    /// ` 0 [PCH            ]: HDA-Intel - HDA Intel PCH`, then a line of details.
    static func cards(in text: String) -> [Int: String] {
        var cards: [Int: String] = [:]
        for line in text.split(separator: "\n") {
            guard let open = line.firstIndex(of: "["), let number = Int(trimmed(line[..<open])),
                let close = line[open...].firstIndex(of: "]")
            else { continue }
            let rest = line[line.index(after: close)...]
            guard let dash = rest.indices.first(where: { rest[$0...].hasPrefix(" - ") }) else { continue }
            let name = trimmed(rest[dash...].dropFirst(3))
            if !name.isEmpty { cards[number] = name }
        }
        return cards
    }
}

private func trimmed(_ text: Substring) -> String {
    String(text.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
}
