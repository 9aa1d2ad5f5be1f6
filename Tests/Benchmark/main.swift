import Foundation
import Glibc

// What the programs cost, side by side with the least that the same job takes: `bench RELEASE-FOLDER BENCHMARK-FOLDER
// JSON-FILE [ROUNDS]`, as root, in a mount namespace of its own. `make bench` calls it.

let words = CommandLine.arguments
guard words.count >= 4 else {
    print("usage: bench RELEASE-FOLDER BENCHMARK-FOLDER JSON-FILE [ROUNDS]")
    exit(64)
}
do {
    let bench = try Bench(
        release: words[1], sources: words[2], rounds: words.count > 4 ? Int(words[4]) ?? 20 : 20)
    let report = try bench.report()
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    try encoder.encode(report).write(to: URL(filePath: words[3]))
    print(report.table)
} catch {
    print("bench: \(error)")
    exit(1)
}
