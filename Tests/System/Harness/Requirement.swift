import Foundation
import Glibc
import Testing

/// What a system test needs of the machine; the reason why it cannot be had here, or nil.
enum Requirement {
    static let wholeHost: String? =
        geteuid() != 0
        ? "needs root, for loop devices"
        : access("/dev/loop-control", R_OK | W_OK) != 0
            ? "needs loop devices (/dev/loop-control)"
            : inPath("qemu-system-x86_64") ? nil : "needs qemu-system-x86_64 (apt-get install qemu-system-x86)"

    static func command(_ name: String, of package: String) -> String? {
        inPath(name) ? nil : "needs \(name) (apt-get install \(package))"
    }

    static func library(_ name: String, of package: String) -> String? {
        let folders = ["/usr/lib", "/lib"].flatMap { [$0, $0 + "/x86_64-linux-gnu"] }
        return folders.contains { access("\($0)/\(name)", R_OK) == 0 }
            ? nil : "needs \(name) (apt-get install \(package))"
    }

    /// The release build, whole and of the sources as they are: a build leaves at least one program newer than each of them.
    static let releaseBuild: String? = {
        let names = ["vmdev-apply", "vmdevctl", "vmdev-generator", "vmdev-export"]
        let programs = names.map { releaseFolder + "/" + $0 }
        let folder = packageFolder + "/Sources"
        let files = FileManager.default.enumerator(atPath: folder)?.compactMap { $0 as? String } ?? []
        let sources = files.filter { file in [".swift", ".c", ".h"].contains { file.hasSuffix($0) } }
        guard programs.allSatisfy({ access($0, X_OK) == 0 }),
            let built = programs.compactMap(lastChange(of:)).max(),
            let changed = sources.compactMap({ lastChange(of: folder + "/" + $0) }).max(), built >= changed
        else { return "needs the release build (make build)" }
        return nil
    }()

    private static func lastChange(of path: String) -> Date? {
        (try? FileManager.default.attributesOfItem(atPath: path))?[.modificationDate] as? Date
    }

    static let isCI = ProcessInfo.processInfo.environment["CI"] == "true"

    private static func inPath(_ name: String) -> Bool {
        ["/usr/sbin", "/usr/bin", "/sbin", "/bin"].contains { access("\($0)/\(name)", X_OK) == 0 }
    }
}

/// Skips a test with its reason; with CI=true it runs all the same, and so fails for that reason.
func needs(_ unmet: String?...) -> ConditionTrait {
    let reason = unmet.compactMap(\.self).first
    return .enabled(if: reason == nil || Requirement.isCI, Comment(rawValue: reason ?? ""))
}

/// The requirement of nearly every suite here.
let needsWholeHost = needs(Requirement.wholeHost)
