internal import Glibc

/// The path with every link in it followed; fails when it leads nowhere.
public func resolved(_ path: String) throws(SystemCallError) -> String {
    guard let text = unsafe realpath(path, nil) else { throw SystemCallError("resolve", path, code: errno) }
    defer { unsafe free(text) }
    return unsafe String(cString: text)
}
