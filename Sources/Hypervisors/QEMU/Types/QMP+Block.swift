extension QMP {
    /// BlockInfo: a disk of the guest's in query-block.
    struct Disk: Decodable, Sendable {
        /// QOM path of the device; nil for a drive that no device has.
        let qdev: String?
        /// What is in it; nil for an empty drive.
        let inserted: Medium?
    }

    /// BlockDeviceInfo: what a disk's data come from.
    struct Medium: Decodable, Sendable {
        let nodeName: String?
        let isReadOnly: Bool
        let image: Image

        enum CodingKeys: String, CodingKey {
            case nodeName = "node-name"
            case isReadOnly = "ro"
            case image
        }
    }

    /// ImageInfo.
    struct Image: Decodable, Sendable {
        /// In bytes.
        let virtualSize: Int64

        enum CodingKeys: String, CodingKey { case virtualSize = "virtual-size" }
    }

    /// BlockdevOptions of a raw node on a host device or file.
    struct Node: Encodable, Sendable {
        let driver = "raw"
        let name: String
        let isReadOnly: Bool
        let file: Storage

        enum CodingKeys: String, CodingKey {
            case driver
            case name = "node-name"
            case isReadOnly = "read-only"
            case file
        }
    }

    /// BlockdevOptionsFile or BlockdevOptionsNbd: the node below; nil members are not sent.
    struct Storage: Encodable, Sendable {
        /// `host_device` for block devices, `file` for plain files, `nbd`.
        let driver: String
        var filename: String?
        let isReadOnly: Bool
        /// Where the NBD server is.
        var server: SocketAddress?
        /// The name that the NBD server knows it by.
        var export: String?
        /// How long requests wait for a lost connection to come back, in seconds.
        var reconnectDelay: UInt32?
        /// How long to try to connect at first, in seconds.
        var openTimeout: UInt32?

        enum CodingKeys: String, CodingKey {
            case driver, filename, server, export
            case isReadOnly = "read-only"
            case reconnectDelay = "reconnect-delay"
            case openTimeout = "open-timeout"
        }
    }

    /// SocketAddress (qapi/sockets.json): of each type its own members, all of them text.
    struct SocketAddress: Encodable, Hashable, Sendable {
        let type: String
        var host: String?
        var port: String?
        var path: String?
        var cid: String?
    }

    /// The argument of blockdev-del.
    struct NodeName: Encodable, Sendable {
        let name: String

        enum CodingKeys: String, CodingKey { case name = "node-name" }
    }
}
