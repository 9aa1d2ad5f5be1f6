public import Applying
internal import Devices
public import Platform
internal import Settings
internal import Systemd

/// One call of `vmdevctl`: the host it works on, and how much it tells.
public struct Session: Sendable {
    /// The host.
    public let root: Root
    /// 0 by default, more with `-v`, less with `-q`.
    public let verbosity: Int
    /// The name that it was called by, for messages.
    public let program: String
    /// Whether it stands in for one of Qubes OS's own tools.
    public let isQubesTool: Bool

    /// Works on the host under `root`, called as `invocation` says.
    public init(root: Root, verbosity: Int, calledBy invocation: Invocation) {
        self.root = root
        self.verbosity = verbosity
        program = invocation.program
        isQubesTool = invocation.isQubesTool
    }

    /// Runs a command; a failure is told on standard error, and is the status with which the program ends.
    public func run(_ body: (Session) throws -> Void) -> Sysexit {
        do {
            try body(self)
            return .success
        } catch let failure as Failure {
            writeStandardError("\(program): \(failure.text)\n")
            return failure.status
        } catch let error as SyntaxError {
            writeStandardError("\(program): \(error).\n")
            return .usage
        } catch let status as Sysexit {
            return status
        } catch {
            writeStandardError("\(program): \(error)\n")
            return .refused
        }
    }

    /// The host's controller.
    public func controller() throws(Failure) -> Controller {
        let reporter = JournalReporter(
            program: "vmdevctl", root: root, environment: [:],
            threshold: verbosity < 0 ? .error : .info)
        let settings: Settings
        do { settings = try Settings(root: root) } catch { throw Failure("\(error)", status: .configuration) }
        for warning in settings.warnings { note("\(warning)") }
        let host = Host(root: root, settings: settings)
        return Controller(host, reporter: reporter) {
            do { try host.keepCopy() } catch { complain("the units cannot be ordered anew: \(error)") }
            refreshUnits()
        }
    }

    /// The answer to what was asked, on standard output.
    public func answer(_ text: String) { writeStandardOutput(text) }

    /// Something that is wrong, on standard error.
    public func complain(_ text: String) { writeStandardError("\(program): \(text)\n") }

    /// Something worth knowing besides, on standard error; not with `-q`.
    public func note(_ text: String) {
        if verbosity >= 0 { writeStandardError("\(program): \(text)\n") }
    }
}

extension Sysexit: Error {}
