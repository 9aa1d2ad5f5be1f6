public import Devices

/// Under which name a disk that a start itself gives a VM arrives in its guest: that of `frontend-dev`, and without it `xvdi`,
/// for each disk alike (Qubes OS's issue 5551).
public enum FrontendName {
    /// The name of a disk with these options.
    public static func of(_ options: DeviceOptions) -> String { options["frontend-dev"] ?? "xvdi" }

    /// Of each disk, in their order, the place of the first one that has its name already; nil for that one itself.
    public static func earlier(_ disks: [DeviceOptions]) -> [Int?] {
        var first: [String: Int] = [:]
        return disks.enumerated().map { index, options in
            let name = of(options)
            if let holder = first[name] { return holder }
            first[name] = index
            return nil
        }
    }
}
