public import Devices
public import Platform
public struct Settings { public init(root: Root) throws {}; public var warnings: [String] = []; public var qmpSocket = ""; public var qmpTimeout: Duration = .seconds(10) }
