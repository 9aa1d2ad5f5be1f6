// swift-tools-version: 6.2
import PackageDescription

/// Every Swift target: no hidden re-exports, existentials named; in CI a warning is an error.
let testing: [SwiftSetting] =
    [
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("InternalImportsByDefault"),
        .enableUpcomingFeature("MemberImportVisibility"),
    ] + (Context.environment["CI"] == nil ? [] : [.treatAllWarnings(as: .error)])

/// The programs also mark every memory-unsafe call; tests call C and Foundation freely.
let swift: [SwiftSetting] = testing + [.strictMemorySafety()]

let arguments: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")

let package = Package(
    name: "vmdevctl",
    products: [
        .executable(name: "vmdev-apply", targets: ["vmdev-apply"]),
        .executable(name: "vmdev-export", targets: ["vmdev-export"]),
        .executable(name: "vmdevctl", targets: ["vmdevctl"]),
        .executable(name: "vmdev-generator", targets: ["vmdev-generator"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0")
    ],
    targets: [
        .systemLibrary(
            name: "CSystemd", pkgConfig: "libsystemd", providers: [.apt(["libsystemd-dev"])]),
        .target(name: "CLinux"),
        .target(name: "CUSBRedir"),
        .target(name: "Platform", dependencies: ["CLinux"], swiftSettings: swift),
        .target(name: "Systemd", dependencies: ["CSystemd", "Platform"], swiftSettings: swift),
        .target(name: "Devices", swiftSettings: swift),
        .target(name: "Settings", dependencies: ["Devices", "Platform"], swiftSettings: swift),
        .target(name: "Assignments", dependencies: ["Devices", "Platform"], swiftSettings: swift),
        .target(
            name: "HostDevices", dependencies: ["CLinux", "Devices", "Platform", "Systemd"],
            swiftSettings: swift),
        .target(name: "ExportProtocol", dependencies: ["Devices"], swiftSettings: swift),
        .target(
            name: "SourceVMs", dependencies: ["CLinux", "Devices", "ExportProtocol", "HostDevices", "Platform"],
            swiftSettings: swift),
        .target(
            name: "Qubes", dependencies: ["Assignments", "Devices", "HostDevices", "Hypervisors", "Platform"],
            swiftSettings: swift),
        .target(
            name: "Exporting",
            dependencies: [
                "Applying", "CUSBRedir", "Devices", "ExportProtocol", "HostDevices", "Hypervisors", "Platform",
            ],
            swiftSettings: swift),
        .executableTarget(
            name: "vmdev-export", dependencies: ["Applying", "Devices", "Exporting", "Platform", arguments],
            swiftSettings: swift),
        .target(name: "Hypervisors", dependencies: ["Devices", "Platform", "Systemd"], swiftSettings: swift),
        .target(
            name: "Applying",
            dependencies: [
                "Assignments", "Devices", "HostDevices", "Hypervisors", "Platform", "Qubes", "Settings",
                "SourceVMs", "Systemd",
            ],
            swiftSettings: swift),
        .target(
            name: "Control",
            dependencies: [
                "Applying", "Assignments", "CLinux", "Devices", "HostDevices", "Hypervisors", "Platform", "Qubes",
                "Settings", "Systemd",
            ],
            swiftSettings: swift),
        .target(
            name: "Units", dependencies: ["Assignments", "Devices", "Platform", "Settings"], swiftSettings: swift),
        .executableTarget(
            name: "vmdev-generator", dependencies: ["Platform", "Units"], swiftSettings: swift),
        .executableTarget(
            name: "vmdev-apply", dependencies: ["Applying", "Devices", "Platform", arguments],
            swiftSettings: swift),
        .executableTarget(
            name: "vmdevctl", dependencies: ["Applying", "Control", "Devices", "Platform", arguments],
            swiftSettings: swift),
        .target(
            name: "TestSupport",
            dependencies: ["Applying", "Assignments", "Devices", "HostDevices", "Hypervisors", "Platform"],
            path: "Tests/Support", swiftSettings: testing),
        .testTarget(
            name: "UnitsTests", dependencies: ["Devices", "Platform", "Units"], swiftSettings: testing),
        .testTarget(
            name: "QubesTests",
            dependencies: [
                "Applying", "Assignments", "Devices", "HostDevices", "Hypervisors", "Platform", "Qubes", "Settings",
                "TestSupport",
            ],
            swiftSettings: testing),
        .testTarget(name: "ExportingTests", dependencies: ["Exporting", "Platform"], swiftSettings: testing),
        .testTarget(name: "PlatformTests", dependencies: ["Platform"], swiftSettings: testing),
        .testTarget(
            name: "ExportProtocolTests", dependencies: ["Devices", "ExportProtocol", "TestSupport"],
            swiftSettings: testing),
        .testTarget(
            name: "SourceVMsTests",
            dependencies: ["Devices", "ExportProtocol", "HostDevices", "Platform", "SourceVMs", "TestSupport"],
            swiftSettings: testing),
        .testTarget(name: "DevicesTests", dependencies: ["Devices", "TestSupport"], swiftSettings: testing),
        .testTarget(
            name: "SettingsTests",
            dependencies: ["Devices", "Platform", "Settings", "TestSupport"],
            swiftSettings: testing),
        .testTarget(
            name: "AssignmentsTests",
            dependencies: ["Assignments", "Devices", "Platform", "TestSupport"],
            swiftSettings: testing),
        .testTarget(
            name: "SystemdTests", dependencies: ["Platform", "Systemd", "TestSupport"], swiftSettings: testing),
        .testTarget(
            name: "HostDevicesTests",
            dependencies: ["Devices", "HostDevices", "Platform", "Systemd"],
            swiftSettings: testing),
        .testTarget(
            name: "HypervisorsTests",
            dependencies: [
                "Applying", "Assignments", "Devices", "HostDevices", "Hypervisors", "Platform", "Systemd",
                "TestSupport",
            ],
            swiftSettings: testing),
        .testTarget(
            name: "ApplyingTests",
            dependencies: [
                "Applying", "Assignments", "Devices", "HostDevices", "Hypervisors", "Platform", "Settings",
                "Systemd", "TestSupport",
            ],
            swiftSettings: testing),
        .testTarget(
            name: "ControlTests",
            dependencies: [
                "Applying", "Assignments", "Control", "Devices", "HostDevices", "Hypervisors", "Platform", "Qubes",
                "Settings", "Systemd", "TestSupport",
            ],
            swiftSettings: testing),
        .executableTarget(name: "fault", path: "Tests/Faults"),
        .executableTarget(
            name: "qubesd-stand-in", dependencies: ["Devices", "Hypervisors", "Platform", "TestSupport"],
            path: "Tests/Qubesd", swiftSettings: testing),
        .testTarget(
            name: "SystemTests",
            dependencies: [
                "Applying", "Devices", "Hypervisors", "Platform", "Systemd", "TestSupport", "fault",
                "qubesd-stand-in", "vmdev-apply", "vmdev-export", "vmdev-generator", "vmdevctl",
            ],
            path: "Tests/System",
            exclude: ["Container", "Demo", "Guest", "Lab/inside", "Lab/lab", "Lab/make-lab", "Lab/scenarios"],
            swiftSettings: testing),
    ],
    swiftLanguageModes: [.v6],
    cLanguageStandard: .gnu17
)

// The fuzzer needs libFuzzer and a build of its own (make fuzz); nobody else has to build it.
if Context.environment["VMDEV_FUZZ"] != nil {
    package.products.append(.executable(name: "vmdev-fuzz", targets: ["vmdev-fuzz"]))
    package.targets.append(
        .executableTarget(
            name: "vmdev-fuzz",
            dependencies: ["Assignments", "Devices", "ExportProtocol", "HostDevices", "Hypervisors", "Settings"],
            path: "Tests/Fuzz", exclude: ["Seeds", "fuzz"], swiftSettings: testing,
            linkerSettings: [.unsafeFlags(["-use-ld=lld"])]))
}
