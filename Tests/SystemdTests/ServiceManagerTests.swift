import Foundation
import Glibc
import Platform
import Testing

@testable import Systemd

@Suite("The service manager")
struct ServiceManagerTests {
    @Test("A status is one line whatever is in it, so that it cannot pretend to be another message")
    func oneLine() async {
        await #expect(processExitsWith: .success) {
            try enterPrivateRun()
            let systemd = try Mailbox(at: "/run/notify")
            setenv("NOTIFY_SOCKET", "/run/notify", 1)
            #expect(ServiceManager().status("attaching \"a\nREADY=1\""))
            #expect(try systemd.take() == Array("STATUS=attaching \"a READY=1\"".utf8))
            #expect(ServiceManager().status(String(repeating: "é", count: 4000)))
            #expect(try #require(try systemd.take()).count <= 1040)
            #expect(getenv("NOTIFY_SOCKET") != nil)
        }
    }

    @Test("A start that takes longer says how much, in microseconds")
    func extended() async {
        await #expect(processExitsWith: .success) {
            try enterPrivateRun()
            let systemd = try Mailbox(at: "/run/notify")
            setenv("NOTIFY_SOCKET", "/run/notify", 1)
            #expect(ServiceManager().extendTimeout(by: .milliseconds(60_500)))
            #expect(try systemd.take() == Array("EXTEND_TIMEOUT_USEC=60500000".utf8))
        }
    }

    @Test("Without a service manager nothing is told, and that is no error")
    func nobody() async {
        await #expect(processExitsWith: .success) {
            unsetenv("NOTIFY_SOCKET")
            #expect(!ServiceManager().status("attaching"))
        }
    }
}
