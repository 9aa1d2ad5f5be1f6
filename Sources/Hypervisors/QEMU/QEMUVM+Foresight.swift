internal import Devices
internal import Platform

/// What a QEMU is asked while the host is looked at.
struct Foresight {
    /// How long an answer counts. Devices may come and go by another monitor while a late device is waited for.
    static let lifetime = Duration.seconds(1)

    /// Questions that are on their way, what they are about, and since when.
    fileprivate var asked: (topic: [String], batch: QMPConnection.Batch, age: Stopwatch)?
    /// The machine's devices, once they are known.
    fileprivate var survey: (Result<QEMUSurvey, HypervisorError>, age: Stopwatch)?
}

extension QEMUVM {
    /// Asks for the devices first, and called again for what is in the first ports, in case that some of the devices go there.
    public func foresee(_ count: Int) {
        if foresight.asked == nil {
            // A connection that is lost is so for whoever asks next, too.
            try? askAhead(QEMUSurvey.topic, QEMUSurvey.lists, QEMUSurvey.others, QEMUSurvey.handlers)
        } else if foresight.survey == nil {
            do {
                let survey = try QEMUSurvey(of: self)
                foresight.survey = (.success(survey), Stopwatch())
                let buses = count == 0 ? [] : try survey.portBuses().prefix(QMPConnection.unansweredLimit / 2)
                let (lists, handlers) = QEMUSurvey.questions(about: buses)
                if !buses.isEmpty { try? askAhead(buses.map(\.path), lists, handlers) }
            } catch {
                foresight.survey = (.failure(error), Stopwatch())
            }
        }
    }

    /// The machine's devices, foreseen or not.
    func survey() throws(HypervisorError) -> QEMUSurvey {
        defer { foresight.survey = nil }
        if let (survey, age) = foresight.survey, age.elapsed < Foresight.lifetime { return try survey.get() }
        return try QEMUSurvey(of: self)
    }

    /// About how many of these, from the first on, something was asked ahead.
    func foreseen(of paths: [String]) -> Int {
        guard let topic = foresight.asked?.topic, paths.starts(with: topic) else { return 0 }
        return topic.count
    }

    /// Asks groups of like things, or takes the answers if just that was asked ahead.
    func ask<each Reply: Decodable>(
        _ what: String, about topic: [String], _ groups: repeat [QMPCommand<each Reply>]
    ) throws(HypervisorError) -> (repeat [(each Reply)?]) {
        let asked = foresight.asked
        foresight.asked = nil
        if let asked, asked.topic == topic, asked.age.elapsed < Foresight.lifetime {
            let results = try call(what) { (connection) throws(QMPError) in
                try connection.results(of: asked.batch, in: repeat each groups)
            }
            if let results { return (repeat try known(what, each results)) }
        }
        return try ask(what, repeat each groups)
    }

    private func askAhead<each Reply>(
        _ topic: [String], _ groups: repeat [QMPCommand<each Reply>]
    ) throws(QMPError) {
        guard let batch = try connection.sendAhead(repeat each groups) else { return }
        foresight.asked = (topic, batch, Stopwatch())
    }
}
