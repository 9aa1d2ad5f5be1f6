internal import Glibc

/// The names in a folder in byte order, without `.` and `..`; fails with EFBIG when there are more than `limit`.
public func names(in folder: String, limit: Int = 65_536) throws(SystemCallError) -> [String] {
    guard let stream = unsafe opendir(folder) else { throw SystemCallError("open", folder, code: errno) }
    defer { unsafe closedir(stream) }
    var names: [String] = []
    while true {
        errno = 0
        guard let entry = unsafe readdir(stream) else {
            guard errno == 0 else { throw SystemCallError("read", folder, code: errno) }
            return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        }
        let name = unsafe withUnsafeBytes(of: &entry.pointee.d_name) { room in
            unsafe String(decoding: room.prefix { $0 != 0 }, as: UTF8.self)
        }
        guard name != ".", name != ".." else { continue }
        guard names.count < limit else { throw SystemCallError("read", folder, code: EFBIG) }
        names.append(name)
    }
}
