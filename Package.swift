// swift-tools-version:6.2
import PackageDescription

// One settings value for every target: Swift 6 language mode comes with the tools version; warnings
// become errors where CI asks for it, so that a newer compiler's new warning never breaks a user's build.
let strict = Context.environment["WANSPEC_WARNINGS_AS_ERRORS"] == "1"
let settings: [SwiftSetting] = strict ? [.unsafeFlags(["-warnings-as-errors"])] : []

let package = Package(
  name: "wanspec",
  platforms: [.macOS(.v15)],
  products: [
    .executable(name: "wanspec", targets: ["wanspec"]),
    .library(name: "SpeculationCore", targets: ["SpeculationCore"]),
    .library(name: "ConstrainedDecoding", targets: ["ConstrainedDecoding"]),
    .library(name: "ModelBackend", targets: ["ModelBackend"]),
    .library(name: "LlamaBackend", targets: ["LlamaBackend"]),
    .library(name: "NodeRuntime", targets: ["NodeRuntime"]),
    .library(name: "DraftExchange", targets: ["DraftExchange"]),
    .library(name: "Serving", targets: ["Serving"]),
    .library(name: "WideArea", targets: ["WideArea"]),
    .library(name: "Simulator", targets: ["Simulator"]),
    .library(name: "Reporting", targets: ["Reporting"]),
    .library(name: "StudyStatistics", targets: ["StudyStatistics"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
    .package(url: "https://github.com/apple/swift-crypto", "3.12.3"..<"5.0.0"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0", traits: []),
    .package(url: "https://github.com/grpc/grpc-swift-2", from: "2.4.3"),
    .package(url: "https://github.com/grpc/grpc-swift-nio-transport", from: "2.9.2"),
    .package(url: "https://github.com/grpc/grpc-swift-protobuf", from: "2.4.1"),
    .package(url: "https://github.com/apple/swift-asn1", from: "1.7.4"),
    .package(url: "https://github.com/apple/swift-certificates", from: "1.21.1"),
    .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
    .package(url: "https://github.com/apple/swift-nio-extras", from: "1.35.2"),
    .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
    .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.2", traits: []),
    .package(url: "https://github.com/apple/swift-system", from: "1.5.0"),
  ],
  targets: [
    // A seeded generator of random numbers: the same on every machine, in every process. Pure.
    .target(name: "SplitMix", swiftSettings: settings),
    // The shape of errors that people read. Pure.
    .target(name: "Failures", swiftSettings: settings),
    // Text that others wrote, for terminals and logs. Pure.
    .target(name: "VisibleText", swiftSettings: settings),
    // The one writer of files: what a path means, replaced as a whole or written through; locks.
    .target(name: "OutputFiles", dependencies: ["Failures", "VisibleText"], swiftSettings: settings),
    // What errors of the network and of TLS mean.
    .target(
      name: "NetworkProblems",
      dependencies: [
        "Failures",
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOSSL", package: "swift-nio-ssl"),
      ],
      swiftSettings: settings),
    // The name that was probably meant. Pure.
    .target(name: "Spelling", swiftSettings: settings),
    // What all servers of the program have in common: which addresses only this machine reaches, what happens when
    // descriptors run out.
    .target(
      name: "Sockets", dependencies: [.product(name: "NIOCore", package: "swift-nio")],
      swiftSettings: settings),
    // The decisions. Pure: only the standard library and swift-collections (checked by dev/check-imports).
    .target(
      name: "SpeculationCore",
      dependencies: ["SplitMix", .product(name: "Collections", package: "swift-collections")],
      swiftSettings: settings),
    // JSON from and for peers that are not trusted: no repairs, bounded, every value with its bytes.
    .target(name: "StrictJSON", swiftSettings: settings),
    // Texts that have to follow a grammar or a JSON Schema: which tokens may come next.
    .target(
      name: "ConstrainedDecoding", dependencies: ["SpeculationCore", "StrictJSON"], swiftSettings: settings),
    // What a model engine is: protocols and values, and the keyed choice of a token.
    .target(
      name: "ModelBackend",
      dependencies: [
        "Failures", "SplitMix", "SpeculationCore", "ConstrainedDecoding",
        .product(name: "Crypto", package: "swift-crypto"),
      ],
      swiftSettings: settings),
    // llama.cpp's C interface. `llama.pc` comes from dev/bootstrap or from the system.
    .systemLibrary(name: "CLlama", pkgConfig: "llama"),
    // Calls of llama.cpp that read what a file says, as errors instead of exceptions and aborts.
    .target(name: "CLlamaGuard", dependencies: ["CLlama"]),
    .target(
      name: "LlamaBackend",
      dependencies: ["ModelBackend", "ConstrainedDecoding", "StrictJSON", "CLlama", "CLlamaGuard"],
      swiftSettings: settings),
    .target(
      name: "NodeRuntime",
      dependencies: [
        "SpeculationCore", "ModelBackend", "ConstrainedDecoding",
        .product(name: "Collections", package: "swift-collections"),
        .product(name: "Logging", package: "swift-log"),
      ],
      swiftSettings: settings),
    .target(
      name: "DraftExchange",
      dependencies: [
        "Failures", "SplitMix", "Sockets", "SpeculationCore", "NetworkProblems",
        .product(name: "GRPCCore", package: "grpc-swift-2"),
        .product(name: "GRPCNIOTransportHTTP2", package: "grpc-swift-nio-transport"),
        .product(name: "GRPCProtobuf", package: "grpc-swift-protobuf"),
        .product(name: "SwiftProtobuf", package: "swift-protobuf"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOSSL", package: "swift-nio-ssl"),
        .product(name: "NIOTLS", package: "swift-nio"),
      ],
      exclude: ["Protos", "Generated/SOURCES.sha256"],
      swiftSettings: settings),
    .target(
      name: "WideArea",
      dependencies: [
        "Failures", "SplitMix", "Sockets", "NetworkProblems",
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "Histogram", package: "hdrhistogram-swift"),
      ],
      swiftSettings: settings),
    // zlib's C interface.
    .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
    // Compressed bytes, chunk by chunk: recordings, traces, bodies of requests.
    .target(name: "PackedBytes", dependencies: ["CZlib"], swiftSettings: settings),
    // Files of settings, read without guessing: every error has its line.
    .target(
      name: "StrictYAML", dependencies: ["Spelling", .product(name: "Yams", package: "Yams")],
      swiftSettings: settings),
    // Drives the machines of SpeculationCore under virtual time: scenarios, recordings, faults, checkers.
    .target(
      name: "Simulator",
      dependencies: [
        "OutputFiles", "SplitMix", "Spelling", "SpeculationCore", "WideArea", "StrictYAML", "PackedBytes",
        .product(name: "Collections", package: "swift-collections"),
      ],
      swiftSettings: settings),
    // How answers are streamed: server-sent events, the event stream of Bedrock. Pure.
    .target(name: "StreamFormats", swiftSettings: settings),
    // What the latency study says of its numbers: quantiles, intervals, patterns, changes. Pure.
    .target(name: "StudyStatistics", swiftSettings: settings),
    // What a study's data say: summaries, comparisons, findings. No files, no network.
    .target(
      name: "StudyAnalysis", dependencies: ["SplitMix", "Spelling", "StudyStatistics", "StrictYAML"],
      swiftSettings: settings),
    // The page and the text of a study.
    .target(
      name: "StudyReport", dependencies: ["Spelling", "StudyAnalysis", "StudyStatistics", "Reporting"],
      swiftSettings: settings),
    // Where to put workers, by simulation of every pair of sites.
    .target(
      name: "Placement",
      dependencies: [
        "Spelling", "Simulator", "SpeculationCore", "StudyAnalysis", "StudyStatistics", "StrictYAML",
        "WideArea",
      ],
      swiftSettings: settings),
    // The latency study: campaigns, probes, their store.
    .target(
      name: "LatencyStudy",
      dependencies: [
        "NetworkProblems", "OutputFiles", "SplitMix", "StreamFormats", "StudyAnalysis", "StrictYAML",
        "Spelling",
        .product(name: "Crypto", package: "swift-crypto"),
        .product(name: "GRDB", package: "GRDB.swift"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOHTTP1", package: "swift-nio"),
        .product(name: "NIOSSL", package: "swift-nio-ssl"),
        .product(name: "NIOTLS", package: "swift-nio"),
      ],
      swiftSettings: settings),
    // A sky whose weather is known: servers of model APIs with queues, days and faults, to measure the measuring.
    .target(
      name: "RegionEmulator",
      dependencies: [
        "Failures", "SplitMix", "Sockets", "LatencyStudy", "StudyAnalysis", "StreamFormats", "StrictYAML",
        "NetworkProblems", "OutputFiles",
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOHTTP1", package: "swift-nio"),
      ],
      swiftSettings: settings),
    // Rows to tables, charts and one self-contained HTML file. Knows nothing of what the rows are about.
    .target(
      name: "Reporting",
      dependencies: ["StrictJSON"],
      resources: [.copy("Resources")],
      swiftSettings: settings),
    // Programs that this one starts; those that watch their standard input end with it.
    .target(
      name: "ProcessControl",
      dependencies: [
        .product(name: "Subprocess", package: "swift-subprocess"),
        .product(name: "SystemPackage", package: "swift-system", condition: .when(platforms: [.linux])),
      ],
      swiftSettings: settings),
    // Model files: catalogue, download with resume, checksum, cache.
    .target(
      name: "ModelStore",
      dependencies: [
        "OutputFiles", "Failures", "Spelling", "ProcessControl",
        .product(name: "Crypto", package: "swift-crypto"),
      ],
      swiftSettings: settings),
    // Who may come in: certificates, join tokens, API keys; read from files and read again when those change.
    .target(
      name: "Credentials",
      dependencies: [
        "Failures", "OutputFiles", .product(name: "Crypto", package: "swift-crypto"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "NIOCertificateReloading", package: "swift-nio-extras"),
        .product(name: "NIOSSL", package: "swift-nio-ssl"),
        .product(name: "SwiftASN1", package: "swift-asn1"),
        .product(name: "X509", package: "swift-certificates"),
      ],
      swiftSettings: settings),
    // The OpenAI-compatible HTTP server in front of a controller.
    .target(
      name: "Gateway",
      dependencies: [
        "Failures", "Spelling", "Sockets", "SpeculationCore", "ConstrainedDecoding", "ModelBackend",
        "NodeRuntime",
        "Credentials", "StrictJSON", "PackedBytes",
        .product(name: "Hummingbird", package: "hummingbird"),
        .product(name: "HummingbirdCore", package: "hummingbird"),
        .product(name: "HTTPTypes", package: "swift-http-types"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOHTTP1", package: "swift-nio"),
        .product(name: "NIOHTTPTypes", package: "swift-nio-extras"),
        .product(name: "NIOHTTPTypesHTTP1", package: "swift-nio-extras"),
        .product(name: "NIOSSL", package: "swift-nio-ssl"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
      ],
      swiftSettings: settings),
    // A controller, a worker, a whole server in any program: engines, nodes, the exchange and the gateway put together.
    .target(
      name: "Serving",
      dependencies: [
        "Failures", "Sockets", "SpeculationCore", "ConstrainedDecoding", "ModelBackend", "NodeRuntime",
        "DraftExchange", "Gateway", "Credentials", "ProcessControl", "OutputFiles", "StrictJSON",
        .product(name: "Logging", package: "swift-log"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
      ],
      swiftSettings: settings),
    // What the terminal is told and asked: streams, progress, tables, signals, values that explain what is wrong with them.
    .target(
      name: "Console",
      dependencies: [
        "OutputFiles", "VisibleText", "SpeculationCore",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "Logging", package: "swift-log"),
      ],
      swiftSettings: settings),
    // One declaration of a setting makes its flag, variable, key of the configuration file, limits, help and errors.
    .target(
      name: "CommandSettings",
      dependencies: [
        "Console", "Spelling", "StrictYAML",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: settings),
    // Measures a pair of models: configurations side by side, costs of passes, recordings.
    .target(
      name: "Benchmarking",
      dependencies: [
        "OutputFiles", "Console", "SpeculationCore", "ModelBackend", "NodeRuntime", "DraftExchange",
        "Serving", "Simulator",
        "WideArea",
      ],
      swiftSettings: settings),
    // What a scenario's results and fault runs say to people and scripts.
    .target(
      name: "ScenarioReports",
      dependencies: [
        "OutputFiles", "Console", "SpeculationCore", "DraftExchange", "Simulator", "Reporting", "Placement",
        "Spelling",
        "StudyAnalysis",
        .product(name: "SwiftProtobuf", package: "swift-protobuf"),
      ],
      swiftSettings: settings),
    .executableTarget(
      name: "wanspec",
      dependencies: [
        "Failures", "OutputFiles", "VisibleText", "CommandSettings", "Console", "Benchmarking",
        "ScenarioReports",
        "Spelling", "SpeculationCore", "ModelBackend", "LlamaBackend", "NodeRuntime", "DraftExchange",
        "Serving",
        "WideArea", "ModelStore", "ProcessControl", "Simulator", "Reporting",
        "Credentials", "Gateway", "StrictYAML", "LatencyStudy", "StudyAnalysis", "StudyStatistics",
        "StudyReport", "RegionEmulator", "Placement",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "SwiftProtobuf", package: "swift-protobuf"),
      ],
      swiftSettings: settings),
    // Programs that link the libraries, as others would.
    .executableTarget(
      name: "example-serve",
      dependencies: [
        "LlamaBackend", "Serving", .product(name: "UnixSignals", package: "swift-service-lifecycle"),
      ],
      path: "Examples/ServeModel", swiftSettings: settings),
    .executableTarget(
      name: "example-generate", dependencies: ["LlamaBackend", "ModelBackend", "NodeRuntime", "Serving"],
      path: "Examples/WhoGuessedWhat", swiftSettings: settings),
    .target(
      name: "SpeculationTesting",
      dependencies: ["SplitMix", "SpeculationCore", "ConstrainedDecoding", "ModelBackend", "Simulator"],
      swiftSettings: settings),
    .testTarget(
      name: "SpeculationCoreTests",
      dependencies: ["SplitMix", "SpeculationCore", "Simulator", "SpeculationTesting"],
      swiftSettings: settings),
    .testTarget(name: "SocketsTests", dependencies: ["Sockets"], swiftSettings: settings),
    .testTarget(
      name: "ConsoleTests",
      dependencies: [
        "CommandSettings", "Console", "Failures", "OutputFiles", "VisibleText",
        .product(name: "Logging", package: "swift-log"),
      ],
      swiftSettings: settings),
    .testTarget(name: "StrictJSONTests", dependencies: ["StrictJSON"], swiftSettings: settings),
    .testTarget(
      name: "ConstrainedDecodingTests",
      dependencies: ["SplitMix", "ConstrainedDecoding", "StrictJSON", "Simulator", "SpeculationTesting"],
      exclude: ["Reference"], swiftSettings: settings),
    .testTarget(
      name: "ModelBackendTests",
      dependencies: ["SplitMix", "ModelBackend", "ConstrainedDecoding", "Simulator", "SpeculationTesting"],
      swiftSettings: settings),
    .testTarget(
      name: "LlamaBackendTests",
      dependencies: [
        "SplitMix", "LlamaBackend", "ConstrainedDecoding", "ModelStore", "Simulator", "SpeculationTesting",
      ],
      swiftSettings: settings),
    .testTarget(
      name: "NodeRuntimeTests",
      dependencies: ["NodeRuntime", "Simulator", "SpeculationTesting"], swiftSettings: settings),
    .testTarget(
      name: "DraftExchangeTests",
      dependencies: [
        "SplitMix", "DraftExchange", "Credentials", "NetworkTesting", "Serving", "SpeculationTesting",
        .product(name: "Logging", package: "swift-log"),
        .product(name: "GRPCCore", package: "grpc-swift-2"),
        .product(name: "GRPCNIOTransportHTTP2", package: "grpc-swift-nio-transport"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOSSL", package: "swift-nio-ssl"),
        .product(name: "NIOTLS", package: "swift-nio"),
      ], swiftSettings: settings),
    .testTarget(
      name: "CredentialsTests",
      dependencies: [
        "SplitMix", "Credentials", "NetworkTesting",
        .product(name: "Logging", package: "swift-log"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOSSL", package: "swift-nio-ssl"),
        .product(name: "NIOTLS", package: "swift-nio"),
      ], swiftSettings: settings),
    .testTarget(
      name: "WideAreaTests",
      dependencies: ["WideArea"], swiftSettings: settings),
    .testTarget(
      name: "StrictYAMLTests", dependencies: ["SplitMix", "StrictYAML", "Simulator", "SpeculationTesting"],
      swiftSettings: settings),
    .testTarget(
      name: "SimulationTests",
      dependencies: ["SplitMix", "SpeculationCore", "Simulator", "StrictYAML", "SpeculationTesting"],
      exclude: ["Regressions"], swiftSettings: settings),
    // Peers that speak TLS without trusting anybody, for tests of those that should not be trusted.
    .target(
      name: "NetworkTesting",
      dependencies: [
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOSSL", package: "swift-nio-ssl"),
        .product(name: "NIOTLS", package: "swift-nio"),
      ],
      swiftSettings: settings),
    // A real browser, in which tests open pages.
    .target(name: "BrowserTesting", dependencies: ["ProcessControl"], swiftSettings: settings),
    .testTarget(
      name: "ReportingTests",
      dependencies: ["Reporting", "BrowserTesting"], swiftSettings: settings),
    .testTarget(
      name: "ServingTests",
      dependencies: [
        "Serving", "ConstrainedDecoding", "Credentials", "DraftExchange", "ModelBackend", "NodeRuntime",
        "Simulator",
        "SpeculationCore", "SpeculationTesting", .product(name: "Logging", package: "swift-log"),
      ],
      swiftSettings: settings),
    .testTarget(
      name: "GatewayTests",
      dependencies: [
        "SplitMix", "Credentials", "PackedBytes", "Gateway", "LlamaBackend", "ModelStore", "NetworkTesting",
        "NodeRuntime",
        "ProcessControl", "SpeculationTesting",
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOSSL", package: "swift-nio-ssl"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
        .product(name: "X509", package: "swift-certificates"),
        .product(name: "Crypto", package: "swift-crypto"),
      ],
      swiftSettings: settings),
    .testTarget(
      name: "LatencyStudyTests",
      dependencies: [
        "SplitMix", "LatencyStudy", "StudyAnalysis", "RegionEmulator", "ProcessControl", "Simulator",
        "StrictYAML",
        .product(name: "GRDB", package: "GRDB.swift"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOHTTP1", package: "swift-nio"),
      ],
      swiftSettings: settings),
    .testTarget(
      name: "StudyAnalysisTests",
      dependencies: ["SplitMix", "StudyAnalysis", "StudyStatistics", "Simulator"],
      swiftSettings: settings),
    .testTarget(
      name: "StudyReportTests",
      dependencies: ["StudyReport", "StudyAnalysis", "Reporting", "BrowserTesting", "Simulator"],
      swiftSettings: settings),
    .testTarget(
      name: "PlacementTests",
      dependencies: ["SplitMix", "Placement", "Simulator", "StudyAnalysis", "StrictYAML"],
      swiftSettings: settings),
    .testTarget(
      name: "RegionEmulatorTests",
      dependencies: [
        "RegionEmulator", "LatencyStudy", "StudyAnalysis", "StreamFormats", "StrictYAML", "ProcessControl",
      ],
      exclude: ["bedrock_client.py"], swiftSettings: settings),
    .testTarget(
      name: "StreamFormatsTests", dependencies: ["SplitMix", "StreamFormats", "Simulator"],
      swiftSettings: settings),
    .testTarget(
      name: "StudyStatisticsTests", dependencies: ["SplitMix", "StudyStatistics", "Simulator"],
      swiftSettings: settings),
    .testTarget(
      name: "ProcessControlTests",
      dependencies: ["ProcessControl"], swiftSettings: settings),
    .testTarget(
      name: "ModelStoreTests",
      dependencies: ["ModelStore", "ProcessControl"], exclude: ["misbehaving_index.py"],
      swiftSettings: settings),
    .testTarget(
      name: "CommandLineTests",
      dependencies: [
        "wanspec", "ScenarioReports", "example-serve", "example-generate", "ModelStore", "ProcessControl",
        "Simulator",
        "SpeculationTesting", "BrowserTesting",
      ],
      exclude: ["openai_client.py", "tools_client.py", "Templates"],
      swiftSettings: settings),
  ],
  cxxLanguageStandard: .cxx17
)
