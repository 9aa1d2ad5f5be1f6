import Foundation
import Glibc
import Platform

/// A host in a folder: its own /etc and /run, the machine's /dev and /sys. The folder goes with the value.
final class ScratchHost {
    let root = temporaryPath("host")

    init() throws {
        for folder in ["/etc/vmdev", "/run/vmdev/locks", "/run/vmdev/qmp"] {
            try FileManager.default.createDirectory(atPath: root + folder, withIntermediateDirectories: true)
        }
        for link in ["/dev", "/sys"] {
            try FileManager.default.createSymbolicLink(atPath: root + link, withDestinationPath: link)
        }
        // A QEMU on a loaded machine may take longer than the 10 s of the default to answer.
        try write("/etc/vmdev/vmdev.conf", "[QEMU]\nQMPTimeoutSec=5min\n")
    }

    deinit { try? FileManager.default.removeItem(atPath: root) }

    /// Writes the table, a row a line.
    func assign(_ rows: String...) throws {
        try write("/etc/vmdev/assignments", rows.map { $0 + "\n" }.joined())
    }

    /// Writes a file of this host.
    func write(_ path: String, _ text: String) throws {
        try text.write(toFile: root + path, atomically: true, encoding: .utf8)
    }

    /// Reads a file of this host; empty when there is none.
    func read(_ path: String) -> String { (try? String(contentsOfFile: root + path, encoding: .utf8)) ?? "" }

    /// Applies a VM's assignments and waits for the answer.
    func apply(_ vm: String, _ options: String...) throws -> Child.Outcome {
        try Child(program("vmdev-apply"), ["--root=\(root)"] + options + [vm]).finish()
    }

    /// Starts to apply a VM's assignments.
    func startApplying(_ vm: String, _ options: String...) throws -> Child {
        try Child(program("vmdev-apply"), ["--root=\(root)"] + options + [vm])
    }

    /// Calls vmdev-apply for no VM in particular.
    func call(_ option: String) throws -> Child {
        try Child(program("vmdev-apply"), ["--root=\(root)", option])
    }

    /// Calls the companion program.
    func vmdevctl(_ arguments: String...) throws -> Child.Outcome {
        try run(program("vmdevctl"), ["--root=\(root)"] + arguments)
    }

    /// Calls the companion program by another of its names.
    func vmdevctl(calledAs name: String, _ arguments: String...) throws -> Child.Outcome {
        try run(program("vmdevctl"), ["--root=\(root)"] + arguments, calledAs: name)
    }

    /// The device locks that somebody holds now, by the name of their file.
    func heldLocks() throws -> [String] {
        let folder = root + "/run/vmdev/locks"
        return try FileManager.default.contentsOfDirectory(atPath: folder).sorted().filter { name in
            try Descriptor.open("\(folder)/\(name)", .readWrite).obstacle(to: .exclusive) != .none
        }
    }
}

/// A program of this package, from the build that the tests are from.
func program(_ name: String) throws -> String {
    let tests = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
    let path = (tests as NSString).deletingLastPathComponent + "/" + name
    guard access(path, X_OK) == 0 else { throw Failure("\(path) is not built") }
    return path
}

/// The folder that Package.swift is in.
let packageFolder = URL(filePath: #filePath).appending(path: "../../../..").standardizedFileURL.path

/// The folder of the programs as they are installed (`make build`); `Requirement.releaseBuild` says whether they are there.
let releaseFolder = packageFolder + "/.build/release"
