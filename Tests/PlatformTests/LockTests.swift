import Foundation
import Glibc
import Platform
import Testing

/// A folder of its own, gone with the value.
final class Scratch: Sendable {
    let path = "/tmp/vmdev-platform-\(UUID().uuidString)"
    init() throws { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }
    deinit { try? FileManager.default.removeItem(atPath: path) }
}

@Suite("Locks on files")
struct LockTests {
    let scratch: Scratch
    init() throws { scratch = try Scratch() }

    private func open(_ name: String = "lock") throws -> Descriptor {
        try Descriptor.open("\(scratch.path)/\(name)", [.readWrite, .create], mode: 0o600)
    }

    @Test(
        "A lock stands in the way of the others that it excludes, and tells which it is",
        arguments: [
            (Descriptor.Lock.exclusive, Descriptor.Lock.exclusive, false), (.exclusive, .shared, false),
            (.shared, .exclusive, false), (.shared, .shared, true),
        ])
    func exclusion(first: Descriptor.Lock, second: Descriptor.Lock, fits: Bool) throws {
        let (holder, other) = (try open(), try open())
        #expect(try holder.tryLock(first))
        #expect(try other.obstacle(to: second) == (fits ? .none : first))
        #expect(try other.tryLock(second) == fits)
        #expect(try holder.tryLock(.none))
        #expect(try other.tryLock(.exclusive))
    }

    @Test("A copy of the descriptor keeps the lock when the first is closed")
    func copies() throws {
        var holder: Descriptor? = try open()
        #expect(try holder?.tryLock(.exclusive) == true)
        let copy = try #require(try holder?.duplicate())
        holder = nil
        #expect(try open().obstacle(to: .shared) == .exclusive)
        withExtendedLifetime(copy) {}
    }

    @Test("Who waits for a lock file gets it when it is let go, and nobody gets it twice")
    func lockFile() throws {
        let path = scratch.path + "/file"
        guard let first = try LockFile.take(path, until: Deadline(after: .zero)) else {
            Issue.record("it is free, and was not given")
            return
        }
        #expect(try !canTake(path, within: .zero))
        first.release()
        #expect(try canTake(path, within: .seconds(30)))
    }

    @Test("To wait for a lock file takes no work, and does not disturb the others who wait")
    func waiting() throws {
        let path = scratch.path + "/file"
        guard let lock = try LockFile.take(path, until: Deadline(after: .zero)) else {
            Issue.record("it is free, and was not given")
            return
        }
        let before = workDone()
        #expect(try !canTake(path, within: .seconds(1)))
        #expect(workDone() - before < .milliseconds(100))
        lock.release()
    }

    /// The time that this thread had a processor.
    private func workDone() -> Duration {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
    }

    private func canTake(_ path: String, within time: Duration) throws -> Bool {
        guard let lock = try LockFile.take(path, until: Deadline(after: time)) else { return false }
        lock.release()
        return true
    }

    @Test("A lock file behind a link is not followed")
    func link() throws {
        try FileManager.default.createSymbolicLink(
            atPath: scratch.path + "/file", withDestinationPath: scratch.path + "/elsewhere")
        #expect(throws: SystemCallError.self) {
            _ = try LockFile.take(scratch.path + "/file", until: Deadline(after: .zero))
        }
        #expect(!FileManager.default.fileExists(atPath: scratch.path + "/elsewhere"))
    }
}
