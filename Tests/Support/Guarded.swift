import Foundation

/// A value that one thread at a time gets at. Synchronization's Mutex would do, but its lock is in a library that is not built
/// for ThreadSanitizer, which then takes every change of hands for a race; this one it knows.
package final class Guarded<Value>: @unchecked Sendable {
    private let lock = NSLock()
    private var value: Value

    package init(_ value: sending Value) { self.value = value }

    package func withLock<Result>(_ body: (inout Value) throws -> Result) rethrows -> Result {
        lock.lock()
        defer { lock.unlock() }
        return try body(&value)
    }
}
