internal import Glibc

/// The path with every link in it followed, or nil when it leads nowhere.
public func resolved(_ path: String) -> String? {
    guard let text = unsafe realpath(path, nil) else { return nil }
    defer { unsafe free(text) }
    return unsafe String(cString: text)
}
