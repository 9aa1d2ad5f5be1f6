import Devices
import Testing

@Suite struct TimeSpanTests {
    @Test(
        "A span means what systemd.time(7) says",
        arguments: [
            ("10", .seconds(10)), ("10s", .seconds(10)), ("10 s", .seconds(10)), (" 10\tsec ", .seconds(10)),
            ("0", .zero), ("500ms", .milliseconds(500)), ("2 msec", .milliseconds(2)), ("7us", .microseconds(7)),
            ("7 µs", .microseconds(7)), ("7μs", .microseconds(7)), ("1min 30s", .seconds(90)),
            ("1min30s", .seconds(90)), ("5s500ms", .milliseconds(5500)), ("2 200ms", .milliseconds(2200)),
            ("1.5h", .seconds(5400)), ("0.25 s", .milliseconds(250)), (".5s", .milliseconds(500)),
            ("1.0000001s", .seconds(1)), ("2 hours", .seconds(7200)), ("1hr 1m", .seconds(3660)),
            ("1d", .seconds(86_400)),
            ("1week", .seconds(604_800)), ("1M", .seconds(2_629_800)), ("1y", .seconds(31_557_600)),
            ("infinity", TimeSpan.infinity.duration), (" infinity ", TimeSpan.infinity.duration),
        ] as [(String, Duration)])
    func good(_ text: String, _ means: Duration) { #expect(TimeSpan(text)?.duration == means) }

    @Test(
        "What is no span is refused rather than guessed",
        arguments: [
            "", " ", "s", "min 5", "-5", "-5s", "+5", "5x", "5 seconds ago", "1,5s", "1.", "1.s", "1..5", "1.5.2s",
            "0x10",
            "infinite", "INFINITY", "infinity 5s", "5S", "9223372036854775807", "99999999999999999999s", "200y",
            "9223372036854775807us 9223372036854775807us", "５s", "5s\0", "10s # ten",
        ])
    func bad(_ text: String) { #expect(TimeSpan(text) == nil) }

    @Test("Infinity is longer than all that can be written")
    func infinity() throws {
        #expect(try #require(TimeSpan("136y")).duration < TimeSpan.infinity.duration)
    }
}
