import Applying
import ArgumentParser
import Glibc
import Platform

@main
enum Entry {
    static func main() {
        guard let words = programArguments() else {
            writeStandardError("vmdev-apply: \(missingArgumentsMessage)\n")
            exit(Sysexit.usage.rawValue)
        }
        if let call = UnitCall(words) { exit(call.run().rawValue) }
        VMDevApply.main(Array(words.dropFirst()))
    }
}
