internal import Devices
internal import Platform

/// Something in a configuration file that is not as it should be.
public struct SettingsProblem: Hashable, Sendable, CustomStringConvertible {
    /// The path of the file.
    public let file: String
    /// The line, from 1.
    public let line: Int
    /// What is wrong and what was expected.
    public let message: String

    /// "/etc/vmdev/vmdev.conf:3: …".
    public var description: String { "\(file):\(line): \(message)" }

    init(file: String, line: Int, _ message: String) {
        self.file = printable(file)
        self.line = line
        self.message = message
    }
}

/// The settings cannot be used.
public enum SettingsError: Error, Hashable, Sendable, CustomStringConvertible {
    /// A file or folder is there, and reading it failed: its path and the system's reason.
    case unreadable(path: String, reason: String)
    /// Every value that is wrong, in the order of the files.
    case invalid([SettingsProblem])

    /// One line for each problem.
    public var description: String {
        switch self {
        case .unreadable(let path, let reason):
            "\(printable(path)): cannot be read (\(reason)); check its permissions and its file system"
        case .invalid(let problems): problems.map(\.description).joined(separator: "\n")
        }
    }
}
