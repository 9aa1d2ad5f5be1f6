import Foundation
import Testing

/// One boot of the lab, and what came of the scenarios that it ran.
private struct Lab {
    private static let count = 2
    /// Side by side, each with one emulated processor, which is what a host with two processors emulates quickest. Booted
    /// by the first test that asks, for all of them; each scenario is of one of them.
    static let boots = (0..<count).map { place in
        let boot = Box<Result<Lab, any Error>>()
        let share = stride(from: place, to: scenarios.count, by: count).map { scenarios[$0] }
        Thread.detachNewThread { boot.fill(Result { try Lab(running: share) }) }
        return (share: share, outcome: boot)
    }

    /// The boot that runs this scenario, once it has ended.
    static func boot(of scenario: String) throws -> Lab? {
        try boots.first { $0.share.contains(scenario) }?.outcome.value.get()
    }

    /// What each scenario said, by its name; its last line is the verdict.
    let stories: [String: String]
    /// All that was said, and what the boot itself showed where it did not come to its end.
    let account: String

    private init(running share: [String]) throws {
        let here = packageFolder + "/Tests/System/Lab"
        let folder = temporaryPath("lab")
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        _ = try Child(here + "/make-lab", [packageFolder + "/.build/lab"]).finish(within: .seconds(1800))
        // The script becomes the QEMU, so that the lab ends with us.
        let outcome = try Child(
            "setpriv",
            ["--pdeathsig", "KILL", "env", "LAB_RUN=\(folder)", here + "/lab", "run", releaseFolder] + share
        ).finish(within: .seconds(3600))
        let console = (try? String(contentsOfFile: folder + "/console", encoding: .utf8)) ?? ""
        let isComplete = outcome.output.contains("scenarios: end")
        account = isComplete ? "" : "the lab did not come to its end: \(outcome)\(console.suffix(4000))"
        stories = Lab.stories(in: outcome.output)
    }

    /// Takes the account apart: `scenario NAME: begin` begins one, `scenario NAME: passed …` or `failed …` ends it.
    static func stories(in text: String) -> [String: String] {
        var result: [String: String] = [:]
        var name: String?
        for line in text.split(separator: "\n") {
            if line.hasPrefix("scenario "), line.hasSuffix(": begin") {
                name = String(line.dropFirst("scenario ".count).dropLast(": begin".count))
            }
            if let name { result[name, default: ""] += line + "\n" }
        }
        return result
    }
}

/// The scenarios there are, by their files.
private let scenarios: [String] = {
    let folder = packageFolder + "/Tests/System/Lab/scenarios"
    let files = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    return files.filter { $0.hasSuffix(".scenario") }.map { String($0.dropLast(".scenario".count)) }.sorted()
}()

@Suite(
    "On a whole host with USB, PCI and sound",
    needs(
        Requirement.wholeHost, Requirement.releaseBuild, Requirement.command("mmdebstrap", of: "mmdebstrap"),
        Requirement.command("mke2fs", of: "e2fsprogs"),
        Requirement.command("strip", of: "binutils")))
struct LabTests {
    @Test(
        "A scenario keeps its promises, and leaves no lock, no QEMU and no other PCI driver", arguments: scenarios)
    func scenario(_ name: String) throws {
        let lab = try #require(try Lab.boot(of: name))
        let story = lab.stories[name] ?? "it did not run: \(lab.account)"
        #expect(story.contains("\nscenario \(name): passed "), "\(story)\(lab.account)")
    }

    @Test("There are scenarios")
    func some() { #expect(!scenarios.isEmpty) }
}
