import Foundation
import Gateway
import LlamaBackend
import Logging
import ModelBackend
import ModelStore
import NIOPosix
import NodeRuntime
import ServiceLifecycle
import SpeculationCore
import Testing

/// The small real model that these tests run.
enum TestModel {
  static var path: String {
    ModelStore.cacheDirectory().appending(path: "models/smollm2-135m-instruct-q4_1.gguf").path
  }

  static let contextLength = 512

  /// Loaded once for all tests.
  static func engine() async throws -> LlamaEngine { try await shared.value }

  private static let shared = Task {
    try await LlamaEngine.load(
      path: path, options: LlamaOptions(contextLength: contextLength, sessions: 8, threads: 1))
  }

  /// One node for all servers: sessions are numbered by the node, and the engine is shared.
  static func node() async throws -> ControllerNode { try await sharedNode.value }

  private static let sharedNode = Task {
    ControllerNode(target: try await engine(), observer: metrics)
  }

  static let metrics = GatewayMetrics(modelName: "test-model")
}

/// A running server with a real model behind it.
struct TestServer {
  let server: GatewayServer
  let port: Int
  let metrics: GatewayMetrics
  let node: ControllerNode
  private let group: ServiceGroup
  private let running: Task<Void, any Error>

  var client: HTTPClient { HTTPClient(port: port) }

  static func configuration() -> GatewayConfiguration {
    var configuration = GatewayConfiguration(
      modelName: "test-model",
      speculation: { choice throws(UnavailableChoice) in
        var settings: SpeculationSettings
        switch choice.mode {
        case .off: return .plain
        case .local: throw UnavailableChoice("this server has no draft model of its own")
        case .auto, .wan: settings = .wideArea(lookupLength: 6, minGain: 0)
        }
        if let width = choice.width { settings.verification.maxNodes = width }
        return settings
      })
    configuration.port = 0
    configuration.aliases = ["alias/of-model"]
    return configuration
  }

  /// Runs `body` with a server, then shuts the server down gracefully.
  static func run(
    _ change: (inout GatewayConfiguration) -> Void = { _ in }, log: Logger? = nil,
    _ body: (TestServer) async throws -> Void
  ) async throws {
    let server = try await start(change, log: log)
    do {
      try await body(server)
    } catch {
      try? await server.stop()
      throw error
    }
    try await server.stop()
  }

  static func start(
    _ change: (inout GatewayConfiguration) -> Void = { _ in }, log: Logger? = nil
  ) async throws -> TestServer {
    var configuration = configuration()
    change(&configuration)
    let engine = try await TestModel.engine()
    let node = try await TestModel.node()
    let metrics = GatewayMetrics(modelName: configuration.modelName)
    var quiet = Logger(label: "test")
    quiet.logLevel = .critical
    let server = GatewayServer(
      node: node, model: engine.model, tokenizer: engine.tokenizer, configuration: configuration,
      metrics: metrics, log: log ?? quiet)
    let group = ServiceGroup(
      configuration: .init(services: [server], gracefulShutdownSignals: [], logger: quiet))
    let running = Task { try await group.run() }
    return TestServer(
      server: server, port: try await server.port(), metrics: metrics, node: node, group: group,
      running: running)
  }

  func beginShutdown() async { await group.triggerGracefulShutdown() }

  func stopped() async throws { try await running.value }

  func stop() async throws {
    await beginShutdown()
    try await stopped()
  }

  /// Waits for something that another task is about to bring about.
  static func wait(until condition: () async -> Bool) async -> Bool {
    let deadline = ContinuousClock.now + .seconds(30)
    while await !condition() {
      if .now > deadline { return false }
      try? await Task.sleep(for: .milliseconds(2))
    }
    return true
  }
}

extension Dictionary where Key == String, Value == Any {
  subscript(path path: String) -> Any? {
    var value: Any? = self
    for part in path.split(separator: ".") {
      if let index = Int(part) {
        let array = value as? [Any]
        value = array.flatMap { index < $0.count ? $0[index] : nil }
      } else {
        value = (value as? [String: Any])?[String(part)]
      }
    }
    return value
  }

  func string(_ path: String) -> String? { self[path: path] as? String }
  func int(_ path: String) -> Int? { (self[path: path] as? NSNumber)?.intValue }
}
