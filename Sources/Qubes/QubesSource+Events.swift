public import Devices
public import HostDevices
internal import Hypervisors
internal import Platform

extension QubesSource {
    /// qubesd's events of the source VM; each may be about its devices.
    public func listen(for references: [DeviceReference]) throws(SourceError) -> (any DeviceEvents)? {
        do {
            return QubesEvents(stream: try admin.events(of: name), source: name)
        } catch {
            throw SourceError(error)
        }
    }
}

private struct QubesEvents: DeviceEvents {
    let stream: AdminStream
    let source: VMName

    var descriptor: Int32 { stream.rawDescriptor }

    func take() throws(SourceError) -> Bool {
        do {
            guard let isNews = try stream.take() else {
                throw SourceError(.unreachable, "qubesd does not go on telling of \(source)")
            }
            return isNews
        } catch let error as SourceError {
            throw error
        } catch let error as QubesError {
            throw SourceError(error)
        } catch {
            throw SourceError(.unreachable, "qubesd: \(error)")
        }
    }
}
