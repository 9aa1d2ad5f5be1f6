import Glibc

/// One run of libFuzzer feeds one reader; which one, the environment says. (An executable for each would be the same code
/// ten times over.)
private let reader: @Sendable ([UInt8]) -> Void = {
    let name = getenv("VMDEV_FUZZ").map { String(cString: $0) } ?? ""
    guard let reader = readers[name] else {
        fatalError("VMDEV_FUZZ=\(name): expected one of \(readers.keys.sorted().joined(separator: ", "))")
    }
    return reader
}()

/// What reads bytes that others wrote, by the name of its folder in Seeds.
private let readers: [String: @Sendable ([UInt8]) -> Void] = [
    "table": readTable, "references": readReferences, "strings": readStrings, "configuration": readConfiguration,
    "qmp": readQMP, "qubesd": readQubesd, "xml": readXML, "export": readExport,
]

/// libFuzzer, with its own arguments. (What it calls by itself has no place beside the `main` that SwiftPM asks for.)
@main
enum Fuzz {
    static func main() {
        var count = CommandLine.argc
        var words: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = CommandLine.unsafeArgv
        exit(
            runDriver(&count, &words) { start, count in
                reader(Array(UnsafeBufferPointer(start: start, count: count)))
                return 0
            })
    }
}

/// FuzzerInterface's entry: https://llvm.org/docs/LibFuzzer.html#using-libfuzzer-as-a-library
@_silgen_name("LLVMFuzzerRunDriver")
private func runDriver(
    _ count: UnsafeMutablePointer<CInt>,
    _ words: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?>,
    _ test: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
) -> CInt

/// Ends the run, and so tells libFuzzer, when a promise is broken.
func promise(_ isKept: Bool, _ words: @autoclosure () -> String) {
    if !isKept { fatalError(words()) }
}
