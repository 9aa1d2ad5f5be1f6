import Foundation

/// One system call of a program that goes wrong.
enum Fault: CustomStringConvertible {
    /// The program is killed before this call, counted from 1.
    case kill(at: Int)
    /// This call is not made and answers the error.
    case error(at: Int, code: Int32)

    var description: String {
        switch self {
        case .kill(let at): "killed at call \(at)"
        case .error(let at, let code): "\(String(cString: strerror(code))) at call \(at)"
        }
    }

    fileprivate var arguments: [String] {
        switch self {
        case .kill(let at): ["kill", String(at), "0"]
        case .error(let at, let code): ["error", String(at), String(code)]
        }
    }

    /// What disks and signals do to a program.
    static let codes = [ENOSPC, EIO, EROFS, EINTR]

    /// Whether the long form of these tests is asked for (`make crash`): every call rather than some.
    static let isExhaustive = ProcessInfo.processInfo.environment["VMDEV_EXHAUSTIVE"] == "1"

    /// The faults for a program that makes these calls: a kill at each, and errors at those that can have them; of the
    /// first part, in which the program is only being loaded, and elsewhere `density` of 1 in the short form.
    static func all(for calls: [SystemCall], oneIn density: Int, all last: Int = 0) -> [Fault] {
        var faults: [Fault] = []
        for (index, call) in calls.enumerated() {
            guard isExhaustive || index % density == 0 || index >= calls.count - last else { continue }
            faults.append(.kill(at: index + 1))
            guard call == .error else { continue }
            let chosen = isExhaustive && last > 0 ? codes : [codes[(index / density) % codes.count]]
            faults += chosen.map { .error(at: index + 1, code: $0) }
        }
        return faults
    }
}

/// Runs a program of ours with a fault.
func run(_ name: String, _ arguments: [String], with fault: Fault) throws -> Child.Outcome {
    try Child(program("fault"), ["/dev/null"] + fault.arguments + [program(name)] + arguments).finish()
}

/// What can happen at a system call of a program: one that only concerns memory, threads or the end of the process
/// does not fail.
enum SystemCall: String {
    case kill, error
}

/// The system calls that a program of ours makes.
func systemCalls(of name: String, _ arguments: [String]) throws -> [SystemCall] {
    try systemCalls(ofProgramAt: program(name), arguments)
}

/// Those that any program makes.
func systemCalls(ofProgramAt path: String, _ arguments: [String]) throws -> [SystemCall] {
    let log = temporaryPath("calls")
    defer { try? FileManager.default.removeItem(atPath: log) }
    try tool(program("fault"), [log, "count", "0", "0", path] + arguments)
    return try String(contentsOfFile: log, encoding: .utf8).split(separator: "\n").compactMap {
        SystemCall(rawValue: String($0))
    }
}
