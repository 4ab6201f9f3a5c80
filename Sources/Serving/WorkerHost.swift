import DraftExchange
import ModelBackend
import NodeRuntime
import SpeculationCore

/// What a process at an idle site runs: a draft model, and a connection to each controller that it drafts for.
public struct WorkerHost: Sendable {
  public struct Settings: Sendable {
    /// Controllers to dial, `WorkerNode.maxControllers` at most.
    public var controllers: [HostPort]
    /// What operators are shown, and where it runs.
    public var name: String
    public var site = ""
    /// How widely and how far ahead it guesses.
    public var limits = Autopilot.limits
    /// Sessions at once.
    public var sessions = 8
    public var security = ConnectionSecurity.plaintext
    /// Whether other machines may be dialled in plaintext.
    public var allowInsecure = false
    /// How long a worker that is to end goes on drafting for sessions that nobody takes over.
    public var drainTimeout = Duration.seconds(10)
    /// Of the program, for the other end's log.
    public var softwareVersion = ""

    public init(controllers: [HostPort], name: String) {
      self.controllers = controllers
      self.name = name
    }
  }

  public enum Event: Sendable {
    /// The model's passes are measured; it begins to dial.
    case ready(CostCurve)
    case connected(controller: String, model: String)
    case disconnected(reason: String, retryIn: Duration)
    /// One of several controllers does not want this worker, and is not dialled again.
    case refused(HostPort, any Error)
    case draining(sessions: Int)
  }

  /// Tokens whose reading is measured at the start.
  private static let readingSize = 64

  /// Drafts until `end` returns, or every controller has refused this worker; then hands over what is open, as far as
  /// somebody takes it, and shuts the engine down.
  ///
  /// - Parameter end: returns when the worker is to leave
  /// - Returns: nodes expanded
  /// - Throws: `ModelError`, or `ExchangeError` where no controller wants this worker
  public static func run(
    _ settings: Settings, draft: any DraftModel, until end: @escaping @Sendable () async -> Void,
    report: @escaping @Sendable (Event) -> Void = { _ in }
  ) async throws -> Int {
    defer { draft.shutDown() }
    var measured = try await draft.measureCosts(maxBatch: settings.limits.passWidth, budget: .seconds(1))
    // The far end of the curve: what reading costs.
    measured[readingSize] = try await draft.measureReading(of: readingSize)
    let cost = CostCurve(measured: measured)
    report(.ready(cost))
    let connections = try connections(settings, draft.model, cost)
    let node = WorkerNode(
      draft: draft,
      configuration: WorkerMachine.Configuration(
        limits: settings.limits, maxSessions: settings.sessions, contextLength: draft.model.contextLength),
      cost: cost, send: { connections[$0].send($1) })
    let host = WorkerHost(settings: settings, connections: connections, node: node, report: report)
    let ending: Result<Void, any Error>
    do {
      try await host.serve(until: end)
      ending = .success(())
    } catch {
      ending = .failure(error)
    }
    draft.shutDown()
    await draft.settle()
    try ending.get()
    return await node.expansions
  }

  private let settings: Settings
  private let connections: [ControllerConnection]
  private let node: WorkerNode
  private let report: @Sendable (Event) -> Void

  private static func connections(
    _ settings: Settings, _ model: ModelDescription, _ cost: CostCurve
  ) throws -> [ControllerConnection] {
    let introduction = WorkerIntroduction(
      name: settings.name, site: settings.site, modelName: model.name, modelSummary: model.summary,
      capacity: settings.sessions, passWidth: settings.limits.passWidth, draftCost: cost,
      softwareVersion: settings.softwareVersion)
    return try settings.controllers.map { address in
      var configuration = ControllerConnection.Configuration(
        host: address.host, port: address.port, introduction: introduction,
        vocabulary: PeerVocabulary(model.vocabulary))
      configuration.allowInsecure = settings.allowInsecure
      configuration.security = settings.security
      return try ControllerConnection(configuration)
    }
  }

  private func serve(until end: @escaping @Sendable () async -> Void) async throws {
    try await withThrowingTaskGroup(of: Bool.self) { group in
      for (index, connection) in connections.enumerated() {
        group.addTask {
          do {
            // The node takes in each event before the next is read: no queue in between could grow.
            try await connection.run { await handle($0, of: index) }
          } catch  where connections.count > 1 && !Task.isCancelled {
            report(.refused(settings.controllers[index], error))
          }
          return false
        }
      }
      group.addTask {
        await end()
        await leave()
        return true
      }
      defer { group.cancelAll() }
      var left = connections.count
      while left > 0, try await group.next() == false { left -= 1 }
    }
  }

  /// Hands over what is open, as far as somebody takes it, and says goodbye.
  private func leave() async {
    await node.drain()
    await handOver()
    await withTaskGroup(of: Void.self) { group in
      for connection in connections { group.addTask { await connection.leave(reason: "it was drained") } }
    }
  }

  private func handOver() async {
    let open = await node.sessionCount
    guard open > 0, !Task.isCancelled else { return }
    report(.draining(sessions: open))
    for connection in connections { connection.drain() }
    await withTaskGroup(of: Void.self) { group in
      group.addTask { await node.waitUntilIdle() }
      group.addTask {
        try? await Task.sleep(for: settings.drainTimeout)
        await node.giveUpWaiting()
      }
      await group.next()
      group.cancelAll()
    }
  }

  private func handle(_ event: ControllerConnection.Event, of index: Int) async {
    switch event {
    case .connected(let controller):
      report(.connected(controller: controller.name, model: controller.modelName))
    case .message(let message):
      do {
        try await node.handle(message, from: index)
      } catch {
        connections[index].reconnect(reason: "the controller broke the protocol: \(error)")
      }
    case .disconnected(let reason, let retryIn):
      await node.disconnected(from: index)
      report(.disconnected(reason: reason, retryIn: retryIn))
    }
  }
}
