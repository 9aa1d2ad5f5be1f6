internal import CSystemd
internal import Glibc
public import Platform

/// A connection to a D-Bus message bus (sd-bus(3)), and the single owner of that handle, for one thread. No call takes
/// longer than its deadline.
@safe
public final class Bus {
    private let handle: OpaquePointer
    private let news = News()

    /// Whether a signal was heard since it was last asked for.
    private final class News {
        var isHeard = false
    }

    /// Whom to ask for what.
    public struct Method: Sendable {
        /// The name on the bus ("org.libvirt").
        public let service: String
        /// The object's path.
        public let path: String
        /// The interface that has the method.
        public let interface: String
        /// The method's name.
        public let member: String

        /// Joins all four.
        public init(_ service: String, _ path: String, _ interface: String, _ member: String) {
            self.service = service
            self.path = path
            self.interface = interface
            self.member = member
        }
    }

    /// Connects to the bus at a D-Bus address ("unix:path=/run/dbus/system_bus_socket").
    public init(address: String, until deadline: Deadline) throws(BusError) {
        func check(_ code: Int32) throws(BusError) {
            guard code >= 0 else { throw .noBus(SystemCallError("connect to", address, code: code)) }
        }
        var made: OpaquePointer?
        try check(unsafe sd_bus_new(&made))
        guard let handle = unsafe made else { throw .noBus(SystemCallError("connect to", address, code: ENOMEM)) }
        unsafe self.handle = handle
        try check(unsafe sd_bus_set_address(handle, address))
        try check(unsafe sd_bus_set_bus_client(handle, 1))
        try check(unsafe sd_bus_set_method_call_timeout(handle, deadline.microseconds))
        try check(unsafe sd_bus_start(handle))
        while true {
            let isReady = unsafe sd_bus_is_ready(handle)
            try check(isReady)
            if isReady > 0 { return }
            let done = unsafe sd_bus_process(handle, nil)
            try check(done)
            if done > 0 { continue }
            guard !deadline.hasPassed else { throw .silent }
            try check(unsafe sd_bus_wait(handle, deadline.microseconds))
        }
    }

    /// What was not sent yet is not waited for.
    deinit { unsafe sd_bus_close_unref(handle) }

    /// Asks, and answers what the other side does.
    public func call(
        _ method: Method, _ arguments: [BusValue] = [], until deadline: Deadline
    ) throws(BusError) -> [BusValue] {
        var made: OpaquePointer?
        let code = unsafe sd_bus_message_new_method_call(
            handle, &made, method.service, method.path, method.interface, method.member)
        guard code >= 0, let message = unsafe made else {
            throw .broken(SystemCallError("ask for", method.member, code: code))
        }
        let question = unsafe BusMessage(owning: message)
        for argument in arguments { try question.append(argument) }
        var error = unsafe sd_bus_error()
        defer { unsafe sd_bus_error_free(&error) }
        var reply: OpaquePointer?
        let called = unsafe sd_bus_call(handle, question.handle, deadline.microseconds, &error, &reply)
        guard called >= 0, let reply = unsafe reply else { throw unsafe failure(called, error, method) }
        return try unsafe BusMessage(owning: reply).values()
    }

    /// Hears from now on the signals that somebody sends.
    public func listen(to service: String) throws(BusError) {
        let context = unsafe Unmanaged.passUnretained(news).toOpaque()
        let code = unsafe sd_bus_add_match(
            handle, nil, "type='signal',sender='\(service)'",
            { _, context, _ in
                if let context = unsafe context {
                    unsafe Unmanaged<News>.fromOpaque(context).takeUnretainedValue().isHeard = true
                }
                return 0
            }, context)
        guard code >= 0 else { throw .broken(SystemCallError("listen to", service, code: code)) }
    }

    /// Waits until a signal has come since the last time that this was asked for, or until the deadline.
    public func waitForSignal(until deadline: Deadline) throws(BusError) {
        while true {
            let done = unsafe sd_bus_process(handle, nil)
            guard done >= 0 else { throw .broken(SystemCallError("listen to", "the bus", code: done)) }
            if done > 0 { continue }
            if news.isHeard || deadline.hasPassed { break }
            let waited = unsafe sd_bus_wait(handle, deadline.microseconds)
            guard waited >= 0 || waited == -EINTR else {
                throw .broken(SystemCallError("listen to", "the bus", code: waited))
            }
        }
        news.isHeard = false
    }

    /// What the bus or its peer says has a name; sd-bus gives its own troubles one as well, which the number tells apart.
    private func failure(_ code: Int32, _ error: sd_bus_error, _ method: Method) -> BusError {
        if code == -ETIMEDOUT { return .silent }
        let isOurs = [ENOTCONN, ECONNRESET, EPIPE, ECHILD, ENOBUFS].contains(-code)
        guard !isOurs, let name = unsafe error.name else {
            return .broken(SystemCallError("ask for", method.member, code: code))
        }
        return unsafe .answered(
            name: String(cString: name), text: error.message.map { unsafe String(cString: $0) } ?? "")
    }
}
