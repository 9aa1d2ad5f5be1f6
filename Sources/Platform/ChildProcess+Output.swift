internal import CLinux
internal import Glibc

extension ChildProcess {
    /// How a program ended, and what it said.
    public struct Ending: Sendable {
        /// The status of its exit, or 128 and the number of the signal that ended it.
        public let status: Int32
        /// Its standard output.
        public let output: [UInt8]
        /// Its standard error.
        public let error: [UInt8]
    }

    /// Runs a program to its end, without a shell and without anything of ours open but `passing`, which is its descriptor
    /// 3: `arguments` without the name, the environment as `NAME=value`, `input` as its standard input. Of output and error
    /// each takes `limit` bytes; a program that writes more gets EPERM. Answers nil when the deadline came first: then it has
    /// been killed.
    public static func ending(
        of program: String, _ arguments: [String], environment: [String], input: [UInt8] = [],
        passing: Descriptor? = nil, limit: Int = 1 << 23, by deadline: Deadline
    ) throws(SystemCallError) -> Ending? {
        let (given, output, error) = (
            try memoryFile("input", limit: 0), try memoryFile("output", limit: limit),
            try memoryFile("error", limit: limit)
        )
        try given.write(input)
        guard lseek(given.raw, 0, SEEK_SET) == 0 else { throw SystemCallError("run", program, code: errno) }
        let (argv, envp) = (zeroTerminated([program] + arguments), zeroTerminated(environment))
        var pid: Int32 = 0
        let code = unsafe argv.withUnsafeBufferPointer { argv in
            unsafe envp.withUnsafeBufferPointer { envp in
                unsafe vmdev_start_command(
                    program, argv.baseAddress, arguments.count + 1, envp.baseAddress, environment.count, given.raw,
                    output.raw, error.raw, passing?.raw ?? -1, &pid)
            }
        }
        guard code == 0 else { throw SystemCallError("run", program, code: code) }
        guard let status = try ChildProcess(pid).status(by: deadline) else { return nil }
        return try Ending(status: status, output: written(output), error: written(error))
    }

    private static func memoryFile(_ name: String, limit: Int) throws(SystemCallError) -> Descriptor {
        let raw = unsafe vmdev_memory_file(name, limit)
        guard raw >= 0 else { throw SystemCallError("make a file in memory for", name, code: raw) }
        return Descriptor(owning: raw)
    }

    /// What was written: up to the place where it stands, which is the child's as well.
    private static func written(_ file: Descriptor) throws(SystemCallError) -> [UInt8] {
        let count = lseek(file.raw, 0, SEEK_CUR)
        guard count >= 0, lseek(file.raw, 0, SEEK_SET) == 0 else {
            throw SystemCallError("read", "what a program wrote", code: errno)
        }
        var bytes: [UInt8] = []
        while bytes.count < count {
            let chunk = try file.read(upTo: count - bytes.count)
            if chunk.isEmpty { break }
            bytes += chunk
        }
        return bytes
    }

    /// A zero byte ends each text, and would cut one short that had it inside.
    private static func zeroTerminated(_ texts: [String]) -> [CChar] {
        texts.flatMap { text in text.utf8.filter { $0 != 0 }.map { CChar(bitPattern: $0) } + [0] }
    }
}
