import Applying
import Systemd
import Testing

@Suite("How the programs end")
struct ExitStatusTests {
    @Test(
        "Of several reasons the one that has to be solved first decides",
        arguments: [
            ([], Sysexit.success), ([.unavailable], .unavailable), ([.unavailable, .taken], .taken),
            ([.unavailable, .tableWrong, .taken], .tableWrong), ([.unreachable, .unavailable], .unreachable),
            ([.refused, .configuration], .configuration), ([.permission, .taken], .permission),
        ] as [([Sysexit], Sysexit)])
    func first(statuses: [Sysexit], expected: Sysexit) {
        #expect(Sysexit.first(of: statuses) == expected)
        #expect(Sysexit.first(of: statuses.reversed()) == expected)
    }

    @Test("Every reason fails with a status that the README names")
    func documented() {
        let documented: Set<Int32> = [64, 65, 69, 73, 74, 75, 77, 78]
        for reason in Reason.allCases { #expect(documented.contains(reason.status.rawValue)) }
    }

    @Test("Every kind of outcome has a MESSAGE_ID of its own")
    func messageIDs() {
        let ids = Outcome.Kind.allCases.map(\.messageID.description)
        #expect(Set(ids).count == ids.count)
        #expect(ids.allSatisfy { $0.count == 32 })
    }
}
