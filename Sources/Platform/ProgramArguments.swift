/// The words that this program was called with, its name first; nil when the system does not tell them, which is not the
/// same as none: Swift looks for them by way of /proc/self/maps, and takes a failure for an empty list.
public func programArguments() -> [String]? {
    let words = CommandLine.arguments
    return words.isEmpty ? nil : words
}

/// What a program says that cannot go on for that reason.
public let missingArgumentsMessage = "the words that it was called with cannot be read from /proc/self"
