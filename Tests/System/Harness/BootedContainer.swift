import Foundation
import Glibc
import Platform

/// A small Debian with a real systemd as PID 1, booted once with our programs in their places.
final class BootedContainer: StoryResult {
    /// `/result` inside: what goes in before the boot and comes out of it.
    let folder = temporaryPath("container")
    var result: String { folder }

    init() throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    /// Boots into a unit, and waits for the file `end`. `binds` are options of systemd-nspawn.
    func boot(into unit: String, _ binds: [String], within time: Duration) throws {
        let root = try Child(
            packageFolder + "/Tests/System/Container/make-container", [packageFolder + "/.build/container"]
        )
        .finish(within: .seconds(1800))
        guard root.status == 0 else { throw Failure("there is no container: \(root)") }
        // The programs are from the debug build, so they need the toolchain's libraries.
        let libraries = try loadedLibraryFolder("libswiftCore.so")
        let generators = "/usr/lib/systemd/system-generators"
        let outcome = try Child(
            "systemd-nspawn",
            [
                "--quiet", "--register=no", "--keep-unit", "--volatile=overlay", "--console=pipe",
                "--directory=" + root.output.trimmingCharacters(in: .newlines), "--bind=\(folder):/result",
                "--bind-ro=\(libraries)", "--bind-ro=\(program("vmdev-apply")):/usr/lib/vmdev/vmdev-apply",
                "--bind-ro=\(program("vmdev-generator")):\(generators)/vmdev-generator",
                "--bind-ro=\(program("vmdevctl")):/usr/bin/vmdevctl",
                "--bind-ro=\(packageFolder)/units/tmpfiles.d/vmdev.conf:/usr/lib/tmpfiles.d/vmdev.conf",
                "--bind-ro=\(packageFolder)/units/qemu@.service:/etc/systemd/system/qemu@.service",
            ] + binds + ["--boot", "systemd.unit=\(unit)"]
        ).finish(within: time)
        guard FileManager.default.fileExists(atPath: folder + "/end") else {
            throw Failure("the container did not come to its end: \(outcome)\(read("log"))")
        }
    }

    /// Writes a file below `/result`, with the folders above it.
    func write(_ text: String, to name: String) throws {
        let url = URL(fileURLWithPath: "\(folder)/\(name)")
        try FileManager.default.createDirectory(
            at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        try text.write(to: url, atomically: true, encoding: .utf8)
    }
}
