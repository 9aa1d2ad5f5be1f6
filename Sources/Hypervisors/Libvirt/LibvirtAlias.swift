/// Our devices' names in a domain: `ua-` is what libvirt keeps for users' own, in which it takes letters, digits, `-` and
/// `_` only. So a dot is written `_d`, and `_` itself `__`.
extension AttachmentID {
    /// "ua-vmdev-2-1_d4".
    var alias: String {
        "ua-" + description.map { $0 == "_" ? "__" : $0 == "." ? "_d" : String($0) }.joined()
    }

    /// Reads a domain's alias back; nil for one that is not ours.
    init?(alias: String) {
        guard alias.hasPrefix("ua-") else { return nil }
        var text = ""
        var rest = alias.dropFirst(3)
        while let character = rest.popFirst() {
            guard character == "_" else {
                text.append(character)
                continue
            }
            switch rest.popFirst() {
            case "_": text += "_"
            case "d": text += "."
            default: return nil
            }
        }
        self.init(text)
    }
}
