/// One setting: its name, what it may be, and where its value goes.
struct SettingRule: Sendable {
    /// What stands before the `=`.
    let key: String
    /// What a value has to be, for messages.
    let expectation: String
    /// Takes a value over; an empty one is the default. Answers whether it is one at all.
    let take: @Sendable (inout Settings, String) -> Bool
}
