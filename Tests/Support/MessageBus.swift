import Foundation
import Glibc
import Platform

/// A real dbus-daemon of our own, in whose folder everything of it is; it ends with the last reference, and with it
/// whatever it has started.
public final class MessageBus: @unchecked Sendable {
    /// Its socket.
    public let socket: String
    private let process = Process()

    /// Whether there is a libvirt-dbus on it.
    public enum Service: Sendable {
        /// Started by the bus when it is asked for.
        case activatable
        /// The same, and nobody may talk to it.
        case forbidden
        /// There is none.
        case absent
    }

    /// Starts it, on `/run/dbus/system_bus_socket` below a root whose /run is a real host's /run for what it starts:
    /// so libvirt-dbus finds the libvirtd there.
    public init(root: String, service: Service) throws {
        socket = root + "/run/dbus/system_bus_socket"
        for name in ["run/dbus", "services"] {
            try FileManager.default.createDirectory(atPath: "\(root)/\(name)", withIntermediateDirectories: true)
        }
        if service != .absent {
            try "[D-BUS Service]\nName=org.libvirt\nExec=/usr/sbin/libvirt-dbus --system\n"
                .write(toFile: root + "/services/org.libvirt.service", atomically: true, encoding: .utf8)
        }
        let policy = service == .forbidden ? "<deny send_destination='org.libvirt'/>" : ""
        try """
        <!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
          "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
        <busconfig><listen>unix:path=\(socket)</listen><auth>EXTERNAL</auth><servicedir>\(root)/services</servicedir>
        <policy context='default'><allow send_destination='*' eavesdrop='true'/><allow eavesdrop='true'/>
        <allow own='*'/>\(policy)</policy></busconfig>
        """.write(toFile: root + "/bus.conf", atomically: true, encoding: .utf8)
        process.executableURL = URL(fileURLWithPath: "/usr/bin/unshare")
        process.arguments = [
            "--mount", "--propagation", "private", "sh", "-c",
            "mount --bind '\(root)/run' /run && exec dbus-daemon --nofork --nopidfile --config-file='\(root)/bus.conf'",
        ]
        process.environment = [
            "DBUS_SYSTEM_BUS_ADDRESS": "unix:path=\(socket)", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        ]
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        guard isServed(socket, by: process) else { throw NoBus() }
    }

    deinit { stop() }

    /// Ends it.
    public func stop() {
        guard process.isRunning else { return }
        Glibc.kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }

    /// Has it stand still.
    public func hang() { Glibc.kill(process.processIdentifier, SIGSTOP) }

    /// It did not start.
    struct NoBus: Error {}
}
