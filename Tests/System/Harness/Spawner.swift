import Foundation
import Synchronization

/// Starts processes from one thread that lives as long as we do. What is started with `setpriv --pdeathsig` ends
/// with the thread that started it, so no QEMU is left over however the tests end.
final class Spawner: Sendable {
    static let shared = Spawner()

    private let jobs = Mutex<[@Sendable () -> Void]>([])
    private let waiting = DispatchSemaphore(value: 0)

    private init() {
        Thread.detachNewThread { [self] in
            while true {
                waiting.wait()
                let job = jobs.withLock { $0.removeFirst() }
                job()
            }
        }
    }

    /// Runs a job on that thread and answers its result.
    func perform<Result: Sendable>(_ job: @escaping @Sendable () -> Result) -> Result {
        let box = Box<Result>()
        jobs.withLock { $0.append { box.fill(job()) } }
        waiting.signal()
        return box.value
    }
}

/// A result that is waited for.
final class Box<Value: Sendable>: Sendable {
    private let content = Mutex<Value?>(nil)
    private let filled = DispatchSemaphore(value: 0)

    func fill(_ value: Value) {
        content.withLock { $0 = value }
        filled.signal()
    }

    /// Waits for it; whoever asks later has it at once.
    var value: Value {
        while true {
            filled.wait()
            defer { filled.signal() }
            if let value = content.withLock(\.self) { return value }
        }
    }
}
