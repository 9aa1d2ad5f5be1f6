import Foundation
import Platform

/// Boots a container with a real systemd and this build's programs, which runs the story (a script of Tests/System/Container)
/// and powers off. `folder` is /result there; a file `end` in it says that the story came to its end. With a `tree`, as
/// `make install` makes it, that is /tree there and nothing else of ours is in its place.
func bootContainer(
    sharing folder: String, disk: LoopDisk, story: String, image: String = "container", packages: [String] = [],
    tree: String? = nil
) throws {
    let here = packageFolder + "/Tests/System/Container"
    let root = try Child(
        here + "/make-container",
        ["\(packageFolder)/.build/\(image)"] + (packages.isEmpty ? [] : ["," + packages.joined(separator: ",")])
    ).finish(within: .seconds(1800))
    guard root.status == 0 else { throw Failure("there is no container: \(root)") }
    // The programs are from the debug build, so they need the toolchain's libraries.
    let libraries = try loadedLibraryFolder("libswiftCore.so")
    let ours =
        try tree.map { ["--bind-ro=\($0):/tree"] } ?? [
            "--bind-ro=\(packageFolder)/units:/units",
            "--bind-ro=\(program("vmdev-apply")):/usr/lib/vmdev/vmdev-apply",
            "--bind-ro=\(program("vmdev-generator")):/usr/lib/vmdev/vmdev-generator",
            "--bind-ro=\(program("vmdevctl")):/usr/bin/vmdevctl",
        ]
    let outcome = try Child(
        "systemd-nspawn",
        [
            "--quiet", "--register=no", "--keep-unit", "--volatile=overlay", "--console=pipe",
            "--directory=" + root.output.trimmingCharacters(in: .newlines),
            "--bind=\(folder):/result", "--bind=\(disk.path)", "--bind-ro=\(libraries)",
            "--bind-ro=\(here)/\(story):/story",
            "--bind-ro=\(here)/story.service:/etc/systemd/system/story.service",
        ] + ours + [
            "--boot", "systemd.unit=story.service", "systemd.default_timeout_start_sec=900",
        ]
    ).finish(within: .seconds(1800))
    guard FileManager.default.fileExists(atPath: folder + "/end") else {
        let log = (try? String(contentsOfFile: folder + "/log", encoding: .utf8)) ?? ""
        throw Failure("the container did not come to its end: \(outcome)\(log)")
    }
}

/// Where a shared library that this process uses lies.
func loadedLibraryFolder(_ name: String) throws -> String {
    let maps = String(decoding: try contents(of: "/proc/self/maps"), as: UTF8.self)
    guard let line = maps.split(separator: "\n").first(where: { $0.hasSuffix("/" + name) }),
        let slash = line.firstIndex(of: "/")
    else { throw Failure("\(name) is not loaded") }
    return (String(line[slash...]) as NSString).deletingLastPathComponent
}
