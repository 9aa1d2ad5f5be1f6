extension QMP {
    /// ChardevInfo.
    struct ChardevState: Decodable, Sendable {
        let label: String
        let filename: String

        /// Whether nobody is at the other end of a socket (qemu_chr_socket_address in chardev/char-socket.c).
        var isDisconnected: Bool { filename.hasPrefix("disconnected:") }
    }

    /// The arguments of chardev-add for a socket that was handed over (getfd).
    struct Chardev: Encodable, Sendable {
        let id: String
        private let backend: Backend

        init(id: String, descriptor name: String) {
            self.id = id
            backend = Backend(name)
        }

        /// ChardevBackend.
        private struct Backend: Encodable, Sendable {
            let type = "socket"
            let data: Socket

            init(_ name: String) { data = Socket(addr: Address(data: Name(str: name))) }
        }

        /// ChardevSocket.
        private struct Socket: Encodable, Sendable {
            let addr: Address
            let server = false
        }

        /// SocketAddressLegacy.
        private struct Address: Encodable, Sendable {
            let type = "fd"
            let data: Name
        }

        private struct Name: Encodable, Sendable {
            let str: String
        }
    }
}
