import DraftExchange
import LlamaBackend
import Logging
import ModelBackend
import NodeRuntime
import SpeculationCore

/// What a process beside the target model runs: the target, a draft model at home if one is wanted, and a
/// listener for workers if there may be any.
struct ControllerHost: Sendable {
  struct Settings: Sendable {
    /// Path of the target's file, and how to load it.
    var target: (path: String, options: LlamaOptions)
    /// The same for the home draft model; nil for none.
    var home: (path: String, options: LlamaOptions)?
    /// Where to listen for workers; nil for none.
    var listen: HostPort?
    var allowInsecure = false
    var security = ListenerSecurity.plaintext
    var livenessTimeout: Duration?
    /// What workers are told of this controller.
    var name = "controller"
    var node = ControllerNode.Configuration()
    var observer: (any NodeObserver)?
    /// The largest pass whose cost is measured: with many sessions, passes are large.
    var measuredBatch = 16
    /// Warnings go to the generation's notes; a command that wants more gives a logger.
    var log = Logger(label: "wanspec") { _ in SwiftLogNoOpLogHandler() }

    /// Without guesses from anywhere, what a larger pass costs is of no interest.
    var speculates: Bool { home != nil || listen != nil }
  }

  let node: ControllerNode
  let target: LlamaEngine
  let home: LlamaEngine?
  let listener: WorkerListener?
  let targetCost: CostCurve
  let homeCost: CostCurve

  /// Loads the models, measures T(n) and d(b), listens, runs `body`, and takes everything down again. Whether
  /// it can listen is tried first.
  static func run<Result: Sendable>(
    _ settings: Settings, report: @escaping @Sendable (WorkerListener.Event) -> Void = { _ in },
    body: @escaping @Sendable (ControllerHost) async throws -> Result
  ) async throws -> Result {
    try settings.listen?.requireFree()
    let target = try await LlamaEngine.load(path: settings.target.path, options: settings.target.options)
    defer { target.shutDown() }
    let targetCost =
      settings.speculates
      ? CostCurve(measured: try await target.measureCosts(maxBatch: settings.measuredBatch)) : CostCurve()
    var home: LlamaEngine?
    var homeCost = CostCurve()
    if let draft = settings.home {
      let engine = try await LlamaEngine.load(path: draft.path, options: draft.options)
      try requireSameVocabulary(target: target.model, draft: engine.model)
      homeCost = CostCurve(measured: try await engine.measureCosts(maxBatch: 32, budget: .seconds(1)))
      home = engine
    }
    defer { home?.shutDown() }
    let listener = try settings.listen.map { address in
      try WorkerListener(configuration(address, settings: settings, target: target.model))
    }
    let node = ControllerNode(
      target: target, home: home, targetCost: targetCost, homeCost: homeCost, transport: listener,
      configuration: settings.node, log: settings.log, observer: settings.observer)
    let host = ControllerHost(
      node: node, target: target, home: home, listener: listener, targetCost: targetCost,
      homeCost: homeCost)
    guard let listener else { return try await body(host) }

    return try await withThrowingTaskGroup(of: Result.self) { group in
      group.addTask {
        // The node takes in each event before its worker's next is read: no queue in between could grow.
        try await listener.run { event in
          report(event)
          if let event = event.forRuntime { await node.handle(event) }
        }
        try Task.checkCancellation()
        throw CommandFailure("the listener for workers stopped")
      }
      group.addTask {
        _ = try await listener.boundPort
        return try await body(host)
      }
      defer { group.cancelAll() }
      return try await group.next()!
    }
  }

  private static func configuration(
    _ address: HostPort, settings: Settings, target: ModelDescription
  ) -> WorkerListener.Configuration {
    var configuration = WorkerListener.Configuration(
      host: address.host, port: address.port, controllerName: settings.name, modelName: target.name,
      modelSummary: target.summary, vocabulary: PeerVocabulary(target.vocabulary))
    configuration.allowInsecure = settings.allowInsecure
    configuration.security = settings.security
    if let timeout = settings.livenessTimeout { configuration.livenessTimeout = timeout }
    return configuration
  }

  private static func requireSameVocabulary(target: ModelDescription, draft: ModelDescription) throws {
    guard target.vocabulary == draft.vocabulary else {
      throw CommandFailure(
        "the draft model \(draft.name) (\(draft.vocabulary.size) tokens) and the target \(target.name)"
          + " (\(target.vocabulary.size) tokens) have different vocabularies",
        hint: "choose a draft model of the target's family")
    }
  }
}
