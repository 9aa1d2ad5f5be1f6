import Glibc
import Platform
import Units

/// Called by systemd at boot and at `daemon-reload` with three folders for what it makes (systemd.generator(7)); ours goes
/// into the first. There is no journal yet: what is wrong goes to the kernel's log.
@main
enum VMDevGenerator {
    static func main() {
        guard let words = programArguments() else {
            writeStandardError("vmdev-generator: \(missingArgumentsMessage)\n")
            exit(1)
        }
        let arguments = words.dropFirst()
        guard let folder = arguments.first, folder.hasPrefix("/"), arguments.count == 1 || arguments.count == 3
        else {
            writeStandardError("Usage: vmdev-generator NORMAL-FOLDER [EARLY-FOLDER LATE-FOLDER]\n")
            return
        }
        let log = try? Descriptor.open("/dev/kmsg", .write)
        Generator(root: .host).run(into: folder) { text in
            let line = "vmdev-generator: \(text)\n"
            if let log, (try? log.write(Array("<4>\(line)".utf8))) != nil { return }
            writeStandardError(line)
        }
    }
}
