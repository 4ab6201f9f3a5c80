import DraftExchange
import Logging
import ModelBackend
import NodeRuntime
import SpeculationCore

/// What a process beside the target model runs: the target, a local draft model if one is wanted, and a
/// listener for workers if there may be any.
public struct ControllerHost: Sendable {
  public struct Settings: Sendable {
    /// Loads the target. Any engine will do.
    public var target: @Sendable () async throws -> any TargetModel
    /// Loads the local draft model; nil for none.
    public var local: (@Sendable () async throws -> any DraftModel)?
    /// Where to listen for workers; nil for none.
    public var listen: HostPort?
    /// Whether workers may attach from other machines in plaintext.
    public var allowInsecure = false
    public var security = ListenerSecurity.plaintext
    /// A worker silent for this long counts as gone; nil for the protocol's own limit.
    public var livenessTimeout: Duration?
    /// What workers are told of this controller.
    public var name = "controller"
    public var node = ControllerNode.Configuration()
    public var observer: (any NodeObserver)?
    /// The largest pass whose cost is measured: with many sessions, passes are large.
    public var measuredBatch = 16
    /// Whether passes of different shapes are compared at the start, to know whether the target's text depends on them.
    public var checksDeterminism = false
    /// Warnings go to the generation's notes; whoever wants more gives a logger.
    public var log = Logger(label: "wanspec") { _ in SwiftLogNoOpLogHandler() }

    public init(
      target: @escaping @Sendable () async throws -> any TargetModel,
      local: (@Sendable () async throws -> any DraftModel)? = nil, listen: HostPort? = nil
    ) {
      self.target = target
      self.local = local
      self.listen = listen
    }

    /// Without guesses from anywhere, what a larger pass costs is of no interest.
    var speculates: Bool { local != nil || listen != nil }
  }

  public let node: ControllerNode
  public let target: any TargetModel
  public let local: (any DraftModel)?
  /// nil where no workers are taken.
  public let listener: WorkerListener?
  /// T(n) and d(b), as measured.
  public let targetCost: CostCurve
  public let localCost: CostCurve
  /// What passes of different shapes differ by; nil where that was not to be measured.
  public let determinism: DeterminismReport?

  /// Loads the models, measures T(n) and d(b), listens, runs `body`, and takes everything down again. Whether
  /// it can listen is tried first.
  ///
  /// - Throws: `ServingError`, `ModelError`, or what `body` throws.
  public static func run<Result: Sendable>(
    _ settings: Settings, report: @escaping @Sendable (WorkerListener.Event) -> Void = { _ in },
    body: @escaping @Sendable (ControllerHost) async throws -> Result
  ) async throws -> Result {
    try settings.listen?.requireFree()
    let target = try await settings.target()
    defer { target.shutDown() }
    guard target.capabilities.drafts == .trees || !settings.speculates else {
      throw ServingError(
        .unsupportedEngine, "the engine of \(target.model.name) verifies chains only, and guesses are trees",
        hint: "serve it without workers and without a draft model")
    }
    let targetCost =
      settings.speculates
      ? CostCurve(measured: try await target.measureCosts(maxBatch: settings.measuredBatch)) : CostCurve()
    let determinism = settings.checksDeterminism ? try await target.checkDeterminism() : nil
    let local = try await settings.local?()
    defer { local?.shutDown() }
    var localCost = CostCurve()
    if let local {
      try requireSameVocabulary(target: target.model, draft: local.model)
      localCost = CostCurve(measured: try await local.measureCosts(maxBatch: 32, budget: .seconds(1)))
    }
    let listener = try settings.listen.map { address in
      try WorkerListener(configuration(address, settings: settings, target: target.model))
    }
    let node = ControllerNode(
      target: target, local: local, targetCost: targetCost, localCost: localCost, transport: listener,
      configuration: settings.node, log: settings.log, observer: settings.observer)
    let host = ControllerHost(
      node: node, target: target, local: local, listener: listener, targetCost: targetCost,
      localCost: localCost, determinism: determinism)
    guard let listener else { return try await body(host) }

    return try await withThrowingTaskGroup(of: Result.self) { group in
      group.addTask {
        // The node takes in each event before its worker's next is read: no queue in between could grow.
        try await listener.run { event in
          report(event)
          if let event = event.forRuntime { await node.handle(event) }
        }
        try Task.checkCancellation()
        throw ServingError(.stopped, "the listener for workers stopped")
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
      throw ServingError(
        .differentVocabularies,
        "the draft model \(draft.name) (\(draft.vocabulary.size) tokens) and the target \(target.name)"
          + " (\(target.vocabulary.size) tokens) have different vocabularies",
        hint: "choose a draft model of the target's family")
    }
  }
}
