import Devices
import Foundation
import Platform
import Synchronization
import Testing

@testable import Assignments

@Suite struct ConcurrencyTests {
    @Test("Two editors who write 50 times each lose nothing, and a reader always sees a whole table")
    func twoEditors() async throws {
        let host = try TestHost("# head\nwork mic dom0:mic required\n# foot\n")
        let isDone = Flag()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for editor in ["a", "b"] {
                group.addTask {
                    try await onThread {
                        for index in 1...50 {
                            #expect(
                                try host.table.add(row("\(editor) block dom0:sd\(editor)\(index) required"))
                                    == .added)
                            if index.isMultiple(of: 5) {
                                let port = "sd\(editor)\(index - 1)"
                                let removed = try host.table.remove { $0.device.port?.description == port }
                                #expect(removed.count == 1)
                            }
                        }
                    }
                }
            }
            async let reader: Void = onThread {
                repeat {
                    let reading = try host.table.allAssignments()
                    #expect(reading.problems == [])
                    #expect(reading.rows.first?.assignment == (try row("work mic dom0:mic required")))
                } while !isDone.isSet
            }
            // Also when an editor fails, or the reader would go on for ever.
            let editors = await group.nextResults()
            isDone.set()
            try await reader
            for editor in editors { try editor.get() }
        }
        let kept = Set((1...50).filter { !($0 + 1).isMultiple(of: 5) })
        for editor in ["a", "b"] {
            let found = try host.table.assignments(of: VMName(editor)).assignments.compactMap(
                \.device.port?.description)
            #expect(found == kept.sorted().map { "sd\(editor)\($0)" })
        }
        #expect(try host.text.hasPrefix("# head\nwork mic dom0:mic required\n# foot\n"))
        #expect(try host.entries == ["assignments"])
    }

    @Test("A hand edit made while ours is under way is kept, and ours is made on top of it")
    func handEdit() throws {
        let host = try TestHost("work mic dom0:mic required\n")
        var questions = 0
        let removed = try host.table.remove { _ in
            questions += 1
            if questions == 1 { try? host.append("media mic dom0:mic required\n") }
            return true
        }
        #expect(removed.map(\.target.description) == ["work", "media"])
        #expect(try host.text == "")
    }

    @Test(
        "Hand edits that do not end are never overwritten: the edit gives up and says so", arguments: [false, true])
    func handEdits(byReplacing: Bool) throws {
        let host = try TestHost("work mic dom0:mic required\n")
        var edits = 0
        let error = try tableError {
            _ = try host.table.remove { _ in
                edits += 1
                do {
                    if byReplacing {
                        // As an editor does that writes a new file; even one of the same length.
                        let new = host.path("/etc/vmdev/new")
                        try FileManager.default.copyItem(atPath: host.tablePath, toPath: new)
                        #expect(rename(new, host.tablePath) == 0)
                    } else {
                        try host.append("# \(edits)\n")
                    }
                } catch {
                    Issue.record(error)
                }
                return true
            }
        }
        #expect(error?.kind == .changedMeanwhile)
        #expect(edits == 3)
        #expect(try host.text == "work mic dom0:mic required\n" + (byReplacing ? "" : "# 1\n# 2\n# 3\n"))
        #expect(try host.entries == ["assignments"])
    }

    @Test("A table that appears while the first assignment is being stored is not overwritten")
    func appearing() throws {
        let host = try TestHost("")
        try FileManager.default.removeItem(atPath: host.tablePath)
        let folder = try Descriptor.open(host.path("/etc/vmdev"), .directory)
        var replacement = try AtomicReplacement.begin(of: "assignments", in: folder, temporary: ".new", like: nil)
        try replacement.write([0x23])
        try host.write(Array("# by hand\n".utf8))
        #expect(try replacement.commit(ifStill: nil) == false)
        #expect(try host.text == "# by hand\n")
    }

    @Test("A file that is written while it is read is noticed")
    func writtenWhileRead() throws {
        let host = try TestHost("work mic dom0:mic required\n")
        let file = try #require(try TableFile.open(host.tablePath))
        #expect(try file.isUnwritten())
        try host.append("# more\n")
        #expect(try !file.isUnwritten())
    }

    @Test("An editor who keeps the lock is waited for, and named when it takes too long")
    func busy() throws {
        let host = try TestHost("# x\n")
        try makeFolders(host.path("/run/vmdev"))
        let other = try Descriptor.open(host.path("/run/vmdev/table.lock"), [.readWrite, .create])
        try #require(try other.tryLock(.exclusive))
        let impatient = AssignmentTable(root: host.root, lockTimeout: .milliseconds(20))
        let error = try #require(try tableError { _ = try impatient.add(row("work mic dom0:mic required")) })
        #expect(error.kind == .busy)
        #expect(error.path == host.path("/run/vmdev/table.lock"))
        #expect(try host.text == "# x\n")
        // Reading needs no lock.
        #expect(try impatient.allAssignments().problems == [])
        #expect(try other.tryLock(.none))
        #expect(try impatient.add(row("work mic dom0:mic required")) == .added)
    }

    @Test("An edit goes on as soon as the other editor has finished")
    func handover() async throws {
        let host = try TestHost("# x\n")
        try makeFolders(host.path("/run/vmdev"))
        var other: Descriptor? = try Descriptor.open(host.path("/run/vmdev/table.lock"), [.readWrite, .create])
        #expect(try other?.tryLock(.exclusive) == true)
        let patient = AssignmentTable(root: host.root, lockTimeout: .seconds(600))
        async let outcome = onThread { try patient.add(row("work mic dom0:mic required")) }
        #expect(try host.text == "# x\n")
        other = nil
        #expect(try await outcome == .added)
    }
}

extension ThrowingTaskGroup where ChildTaskResult == Void, Failure == any Error {
    fileprivate mutating func nextResults() async -> [Result<Void, any Error>] {
        var results: [Result<Void, any Error>] = []
        while let result = await nextResult() { results.append(result) }
        return results
    }
}

private final class Flag: Sendable {
    private let value = Atomic(false)
    var isSet: Bool { value.load(ordering: .relaxed) }
    func set() { value.store(true, ordering: .relaxed) }
}

/// Runs what blocks on a thread of its own: the few of the task pool may all be taken.
private func onThread<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
    try await withCheckedThrowingContinuation { continuation in
        Thread.detachNewThread { continuation.resume(with: Result(catching: body)) }
    }
}
