public import Applying
internal import Devices

/// Forecasts as JSON; the status is that of the worst.
public func render(_ forecasts: [Forecast], _ form: OutputForm) -> (text: String, status: Sysexit) {
    (json(forecasts.map(ForecastJSON.init), form), Sysexit.first(of: forecasts.map(\.status)))
}

/// What JSON says of what the next start of a VM would come to; names as in `vmdevctl block list --json`.
private struct ForecastJSON: Encodable {
    let vm: String
    let starts: Bool
    let status: Int32
    let devices: [DeviceJSON]
    let problems: [ProblemJSON]

    struct DeviceJSON: Encodable {
        let deviceClass: String
        let device: String
        let assigned: String
        let mode: String
        let movedFrom: String?
        let cautions: [String]

        enum CodingKeys: String, CodingKey {
            case device, assigned, mode, cautions
            case deviceClass = "class"
            case movedFrom = "moved_from"
        }
    }

    struct ProblemJSON: Encodable {
        let reason: String
        let message: String
        let remedy: String
        let deviceClass: String?
        let assigned: String?
        let mode: String?
        let wait: Int64?

        enum CodingKeys: String, CodingKey {
            case reason, message, remedy, assigned, mode
            case deviceClass = "class"
            case wait = "wait_usec"
        }
    }

    init(_ forecast: Forecast) {
        vm = forecast.target.description
        starts = forecast.status == .success
        status = forecast.status.rawValue
        devices = forecast.items.map { item in
            DeviceJSON(
                deviceClass: item.device.deviceClass.rawValue, device: item.device.reference.description,
                assigned: item.assignment.device.description, mode: item.assignment.mode.rawValue,
                movedFrom: item.movedFrom?.description, cautions: item.device.cautions.map { printable($0) })
        }
        problems = forecast.problems.map { problem in
            ProblemJSON(
                reason: problem.reason.rawValue, message: problem.message, remedy: problem.remedy,
                deviceClass: problem.assignment?.device.deviceClass.rawValue,
                assigned: problem.assignment?.device.description, mode: problem.assignment?.mode.rawValue,
                wait: problem.wait?.microseconds)
        }
    }
}
