public import Devices
public import Platform
public struct Settings { public init(root: Root) throws {}; public var warnings: [String] = []; public var qmpSocket = "/run/vmdev/qmp/%i.sock"; public var qmpTimeout: Duration = .seconds(10) }
