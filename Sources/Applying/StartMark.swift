internal import Devices
internal import Platform

/// A note that a VM was down when its start was prepared. Where VMs are started whole, nothing else tells a start from a unit
/// that comes upon a VM which somebody has started long ago, and only a start ends a VM.
struct StartMark {
    private let folder: String
    private let name: String

    init(_ vm: VMName, root: Root) {
        folder = root.path("/run/vmdev/starts")
        name = vm.description
    }

    /// Notes that the VM is about to be started.
    func set() throws(SystemCallError) {
        try makeFolders(folder, permissions: 0o700)
        _ = try Descriptor.open("\(folder)/\(name)", [.write, .create, .noFollow], mode: 0o600)
    }

    /// Takes the note away, and answers whether there was one.
    func take() -> Bool {
        do {
            let place = try Descriptor.open(folder, .directory)
            guard try place.status(below: name) != nil else { return false }
            try place.remove(below: name)
            return true
        } catch {
            return false
        }
    }
}
