/// One physical thing under one name, however it is called and whatever class it is taken as.
///
/// Exclusion works on it: taking a device takes `key` and `alone` for one VM, and `beneath`, all that it is a part of,
/// hangs on or is made from, together with whoever takes another part. So a disk excludes its partitions and what dm or
/// md builds on them, a USB stick its disk and a PCI controller the stick, in both directions, while two partitions of
/// one disk can go to two VMs.
public struct CanonicalDevice: Hashable, Sendable {
    /// The thing itself, such as `block-8:1`; letters, digits, `.`, `:`, `_` and `-` only, so that it can name a file.
    public let key: String
    /// What can only be one VM's as a whole: the IOMMU group of a PCI device. Several devices of one VM may share it.
    public let alone: [String]
    /// What it is a part of, hangs on or is made from, in byte order.
    public let beneath: [String]

    /// Names a thing, what it takes along, and what is beneath it.
    public init(key: String, alone: some Sequence<String> = [], beneath: some Sequence<String> = []) {
        self.key = key
        self.alone = Set(alone).subtracting([key]).sorted()
        self.beneath = Set(beneath).subtracting(self.alone + [key]).sorted()
    }

    /// Whether two VMs cannot have these two at a time.
    public func conflicts(with other: CanonicalDevice) -> Bool {
        let (mine, theirs) = (Set([key] + alone), Set([other.key] + other.alone))
        return !mine.isDisjoint(with: theirs) || !mine.isDisjoint(with: other.beneath)
            || !theirs.isDisjoint(with: beneath)
    }

    /// Whether one of the two is the other or a part of it, so that not even one VM can have both.
    public func overlaps(_ other: CanonicalDevice) -> Bool {
        key == other.key || beneath.contains(other.key) || other.beneath.contains(key)
    }
}
