import Foundation
import Glibc
import Platform
import Testing

@Suite("Files, folders, time and sockets")
struct FileTests {
    let scratch: Scratch
    init() throws { scratch = try Scratch() }

    @Test("A file that is larger than allowed is refused, not cut")
    func limit() throws {
        let path = scratch.path + "/file"
        let file = try Descriptor.open(path, [.write, .create])
        try file.write(Array(repeating: 7, count: 100_000))
        #expect(try contents(of: path, limit: 100_000).count == 100_000)
        #expect(throws: SystemCallError("read", path, code: EFBIG)) { try contents(of: path, limit: 99_999) }
    }

    @Test("What is replaced leaves nothing of the longer text before")
    func replace() throws {
        let path = scratch.path + "/file"
        let file = try Descriptor.open(path, [.readWrite, .create])
        try file.replaceContents(with: Array("a long text".utf8))
        try file.replaceContents(with: Array("short".utf8))
        #expect(try contents(of: path) == Array("short".utf8))
    }

    @Test("An error names the call, the thing and the kernel's reason")
    func errors() {
        let error = #expect(throws: SystemCallError.self) { try contents(of: "/nonexistent/x") }
        #expect(error?.description == "open /nonexistent/x: No such file or directory")
        #expect(error?.isMissing == true)
    }

    @Test("Missing folders are made with the permissions asked for, and those that are there stay")
    func folders() throws {
        let path = scratch.path + "/a/b/c"
        try makeFolders(path, permissions: 0o700)
        func mode(_ path: String) throws -> Int? {
            try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
        }
        #expect(try mode(path) == 0o700)
        #expect(try mode(scratch.path + "/a/b") == 0o755)
        try makeFolders(path, permissions: 0o755)
        #expect(try mode(path) == 0o700)
    }

    @Test(
        "A root takes an absolute path, with or without a slash at its end", arguments: ["/", "/x", "/x/", "/x//"])
    func roots(text: String) {
        let root = Root(text)
        #expect(root.path("/run") == (text == "/" ? "/run" : "/x/run"))
        #expect(root.isHost == (text == "/"))
    }

    @Test("A deadline that has come leaves no time, one that is far away leaves as much as poll(2) takes")
    func deadlines() {
        #expect(Deadline(after: .zero).milliseconds == 0)
        #expect(Deadline(after: .seconds(-5)).hasPassed)
        #expect(Deadline(after: .seconds(1 << 40)).milliseconds == .max)
        #expect(!Deadline(after: .seconds(60)).hasPassed)
    }

    @Test("A socket is reached under a path of any length", arguments: [1, 150])
    func longPath(length: Int) throws {
        let folder = scratch.path + "/" + String(repeating: "x", count: length)
        try makeFolders(folder)
        // Bound by its short name, because bind(2) takes no long one.
        let raw = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        let listener = Descriptor(owning: raw)
        let opened = try Descriptor.open(folder, .directory)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) {
            $0.copyBytes(from: Array("/proc/self/fd/\(opened.raw)/s".utf8))
        }
        let bound = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(raw, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        try #require(bound == 0 && listen(raw, 1) == 0)
        let connection = try UnixSocket.connect(to: folder + "/s", until: Deadline(after: .seconds(30)))
        #expect(try connection.send(Array("hello".utf8), until: Deadline(after: .seconds(30))))
        let accepted = Descriptor(owning: accept(raw, nil, nil))
        #expect(try accepted.read(upTo: 16) == Array("hello".utf8))
        withExtendedLifetime(listener) {}
    }

    @Test("A watch on a folder tells of a file that comes, and of nothing when nothing does")
    func watch() throws {
        let watch = try FolderWatch(scratch.path)
        #expect(try !watch.next(until: Deadline(after: .zero)))
        _ = try Descriptor.open(scratch.path + "/new", [.write, .create])
        #expect(try watch.next(until: Deadline(after: .seconds(30))))
    }
}
