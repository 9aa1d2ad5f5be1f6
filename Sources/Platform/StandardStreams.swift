internal import Glibc

/// Writes to standard output; a reader that has gone is no error.
public func writeStandardOutput(_ text: String) { write(text, to: STDOUT_FILENO) }

/// Writes to standard error, in one piece where the kernel can.
public func writeStandardError(_ text: String) { write(text, to: STDERR_FILENO) }

/// Whether standard output is a terminal.
public var standardOutputIsTerminal: Bool { isatty(STDOUT_FILENO) == 1 }

private func write(_ text: String, to descriptor: Int32) {
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
        let count = unsafe rest.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
        if count < 0 && errno == EINTR { continue }
        guard count > 0 else { return }
        rest = rest.dropFirst(count)
    }
}

extension Descriptor {
    /// A copy of standard input; nil when it is closed.
    public static var standardInput: Descriptor? { copy(of: STDIN_FILENO) }

    /// A copy of standard output; nil when it is closed.
    public static var standardOutput: Descriptor? { copy(of: STDOUT_FILENO) }

    private static func copy(of raw: Int32) -> Descriptor? {
        let copy = fcntl(raw, F_DUPFD_CLOEXEC, 3)
        return copy < 0 ? nil : Descriptor(owning: copy)
    }
}

/// Writing to somebody who has gone is an error from now on, and does not end the program.
public func ignoreBrokenPipes() { _ = signal(SIGPIPE, SIG_IGN) }
