extension QMP {
    /// The argument of getfd and closefd.
    struct DescriptorName: Encodable, Sendable {
        let fdname: String
    }

    /// The argument of add-fd.
    struct DescriptorNote: Encodable, Sendable {
        /// A text of ours that query-fdsets gives back.
        let opaque: String
    }

    /// The answer of add-fd (AddfdInfo) and the argument of remove-fd.
    struct FDSetNumber: Codable, Sendable {
        let number: Int64

        enum CodingKeys: String, CodingKey { case number = "fdset-id" }
    }

    /// FdsetInfo: some descriptors that QEMU takes for one file, in query-fdsets.
    struct FDSet: Decodable, Sendable {
        let number: Int64
        let members: [Member]

        enum CodingKeys: String, CodingKey {
            case number = "fdset-id"
            case members = "fds"
        }

        /// FdsetFdInfo.
        struct Member: Decodable, Sendable {
            let opaque: String?
        }
    }
}
