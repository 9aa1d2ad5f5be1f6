internal import Glibc

/// A system call that failed: which one, on what, and the kernel's reason.
public struct SystemCallError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The call or the action, as a reader would name it ("open", "lock").
    public let call: String
    /// The path or other thing that it was applied to.
    public let subject: String
    /// The error number of errno(3).
    public let code: Int32

    /// Describes the failure of `call` on `subject`; the sign of `code` does not matter.
    public init(_ call: String, _ subject: String, code: Int32) {
        self.call = call
        self.subject = subject
        self.code = code < 0 ? -code : code
    }

    /// "open /etc/x: Permission denied".
    public var description: String { "\(call) \(subject): \(reason)" }

    /// The kernel's reason alone: "Permission denied".
    public var reason: String {
        var buffer = [CChar](repeating: 0, count: 128)
        let text = errorText(code, &buffer)
        return text ?? "error \(code)"
    }

    /// Whether the thing does not exist.
    public var isMissing: Bool { code == ENOENT || code == ENOTDIR }
    /// Whether the thing does not exist, while the folder in which it would be may well be one.
    public var isNotThere: Bool { code == ENOENT }
    /// Whether the device behind an open file or a node has gone.
    public var isUnplugged: Bool { code == ENODEV || code == ENXIO }
    /// Whether the file system or the quota is full.
    public var isFull: Bool { code == ENOSPC || code == EDQUOT }
    /// Whether the file system is mounted read-only.
    public var isReadOnly: Bool { code == EROFS }
    /// Whether there is more than was allowed for.
    public var isTooLarge: Bool { code == EFBIG }
    /// Whether we may not.
    public var isPermission: Bool { code == EACCES || code == EPERM }
    /// Whether somebody else has it.
    public var isBusy: Bool { code == EBUSY || code == EAGAIN || code == ETXTBSY }
}

/// Glibc shows the POSIX form of strerror_r, which writes into the buffer.
private func errorText(_ code: Int32, _ buffer: inout [CChar]) -> String? {
    let count = buffer.count
    let failed = unsafe buffer.withUnsafeMutableBufferPointer { pointer -> Bool in
        guard let base = pointer.baseAddress else { return true }
        return unsafe strerror_r(code, base, count) != 0
    }
    guard !failed else { return nil }
    let bytes = buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
    return bytes.isEmpty ? nil : String(decoding: bytes, as: UTF8.self)
}
