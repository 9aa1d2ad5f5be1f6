public import Devices

extension Settings {
    /// A VM that exposes devices.
    public struct Source: Hashable, Sendable {
        /// Its name.
        public let name: VMName
        /// Where its exporter answers.
        public let address: SourceAddress
    }

    /// The VM that a section `[Source NAME]` is about; nil for another section.
    static func source(of section: String) -> Result<VMName, SyntaxError>? {
        guard section == "Source" || section.hasPrefix("Source ") else { return nil }
        do throws(SyntaxError) {
            let name = try VMName(section.dropFirst("Source ".count))
            guard !name.isHost else {
                throw SyntaxError("source VM", name.description, expected: "the name of a VM, not the host itself")
            }
            return .success(name)
        } catch {
            return .failure(error)
        }
    }

    /// `[Source NAME]`.
    static func sourceRules(of name: VMName) -> [SettingRule] {
        [
            SettingRule(key: "Address", expectation: SourceAddress.expectation) { settings, value in
                let address = try? SourceAddress(value)
                guard value.isEmpty || address != nil else { return false }
                settings.sources.removeAll { $0.name == name }
                if let address { settings.sources.append(Source(name: name, address: address)) }
                return true
            }
        ]
    }

    /// The rules of a section; nil for one that is not known.
    static func rules(of section: String) -> [SettingRule]? {
        if case .success(let name)? = source(of: section) { return sourceRules(of: name) }
        return rules[section]
    }
}
