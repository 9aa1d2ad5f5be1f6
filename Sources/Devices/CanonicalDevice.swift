/// One physical thing under one name, however it is called and whatever class it is taken as.
///
/// Exclusion works on it: taking a device takes `key` alone, and `beneath`, all that it is a part of or is made from,
/// together with whoever takes another part. So a disk excludes its partitions and what dm or md builds on them, in
/// both directions, while two partitions of one disk can go to two VMs.
public struct CanonicalDevice: Hashable, Sendable {
    /// The thing itself, such as `block-8:1`; letters, digits, `.`, `:`, `_` and `-` only, so that it can name a file.
    public let key: String
    /// What it is a part of or made from, in byte order.
    public let beneath: [String]

    /// Names a thing and what is beneath it.
    public init(key: String, beneath: some Sequence<String> = []) {
        self.key = key
        self.beneath = Set(beneath).subtracting([key]).sorted()
    }

    /// Whether two VMs cannot have these two at a time.
    public func conflicts(with other: CanonicalDevice) -> Bool {
        key == other.key || beneath.contains(other.key) || other.beneath.contains(key)
    }
}
