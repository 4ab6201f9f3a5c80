import DraftExchange
import Failures
import Gateway
import Logging
import NodeRuntime
import ServiceLifecycle
import SpeculationCore
import Synchronization

/// Whether the server is still to come up.
private final class Startup: Sendable {
  private let underWay = Atomic(true)
  var isUnderWay: Bool { underWay.load(ordering: .relaxed) }
  func end() { underWay.store(false, ordering: .relaxed) }
}

/// A whole server in this process: the target, a port for workers, OpenAI's API for clients.
public struct ModelServer: Sendable {
  public struct Settings: Sendable {
    public var controller: ControllerHost.Settings
    /// Its metrics become the controller's observer.
    public var gateway: GatewayConfiguration
    public var log: Logger
    /// Where answers are written that an audit found to be other than the target's; nil writes them nowhere.
    public var auditLog: AuditLog?

    /// - Parameters:
    ///   - name: what clients ask for
    ///   - byHand: how to speculate, where the measurements are not to decide
    public init(
      name: String, controller: ControllerHost.Settings, byHand: SpeculationByHand = SpeculationByHand(),
      speculates: Bool = true, log: Logger = Logger(label: "wanspec")
    ) {
      let choices = SpeculationChoices(
        byHand, isOn: speculates, takesWorkers: controller.listen != nil, hasLocal: controller.local != nil)
      gateway = GatewayConfiguration(
        modelName: name,
        speculation: { choice throws(UnavailableChoice) in try choices.settings(for: choice) })
      self.controller = controller
      self.controller.name = name
      self.controller.log = log
      // Passes of many sessions are large.
      self.controller.measuredBatch = 64
      self.controller.checksDeterminism = true
      self.log = log
    }
  }

  public let host: ControllerHost
  public let gateway: GatewayServer

  /// Loads, serves until `end` returns, lets answers under way finish, and takes everything down again. Where `end`
  /// returns before the server is up, loading is given up.
  ///
  /// - Parameters:
  ///   - workers: hears of workers that come, go and are refused
  ///   - loaded: called when the models are there and nobody is served yet
  ///   - ready: called with the ports that are being listened on; the second is nil where no workers are taken
  ///   - end: returns when the server is to stop
  /// - Throws: `ServingError`, `ModelError`, `GatewayError`
  public static func run(
    _ settings: Settings, workers: @escaping @Sendable (WorkerListener.Event) -> Void = { _ in },
    loaded: @escaping @Sendable (ModelServer) -> Void = { _ in },
    ready: @escaping @Sendable (ModelServer, _ port: Int, _ workerPort: Int?) -> Void = { _, _, _ in },
    until end: @escaping @Sendable () async -> Void
  ) async throws {
    try settings.gateway.requireAccessAllowed()
    let metrics = GatewayMetrics(modelName: settings.gateway.modelName)
    var controller = settings.controller
    if let exposure = settings.auditLog?.exposure { settings.log.warning("\(exposure)") }
    controller.observer = AuditObserver(metrics: metrics, log: settings.auditLog, warnings: settings.log)
    let report: @Sendable (WorkerListener.Event) -> Void = { event in
      if case .accepting(let accepting) = event {
        if case .failed = accepting { metrics.acceptFailed(on: .workers) }
        if let notice = accepting.notice { settings.log.warning("the workers' port \(notice)") }
      }
      workers(event)
    }
    let observed = controller
    // Who is to stop the server may say so before it is up.
    let (ended, whenEnded) = AsyncStream<Void>.makeStream()
    let startup = Startup()
    try await withThrowingTaskGroup(of: Bool.self) { tasks in
      tasks.addTask {
        try await ControllerHost.run(observed, report: report) { host in
          startup.end()
          let server = Self.make(settings, metrics: metrics, host: host)
          loaded(server)
          try await server.serve(settings, ready: ready) { for await _ in ended {} }
        }
        return true
      }
      tasks.addTask {
        await end()
        whenEnded.finish()
        return false
      }
      defer { tasks.cancelAll() }
      guard try await tasks.next() == false else { return }
      if startup.isUnderWay { tasks.cancelAll() }
      do {
        _ = try await tasks.next()
      } catch  where startup.isUnderWay {
        // It gave up, as it was told to.
      }
    }
  }

  private static func make(
    _ settings: Settings, metrics: GatewayMetrics, host: ControllerHost
  ) -> ModelServer {
    var gateway = settings.gateway
    metrics.targetIsDeterministic(host.determinism?.isDeterministic ?? false)
    gateway.isDeterministic = host.determinism?.isDeterministic
    if gateway.modelName != host.target.model.name { gateway.aliases.append(host.target.model.name) }
    return ModelServer(
      host: host,
      gateway: GatewayServer(
        node: host.node, model: host.target.model, tokenizer: host.target.tokenizer, configuration: gateway,
        metrics: metrics, log: settings.log))
  }

  private func serve(
    _ settings: Settings, ready: @escaping @Sendable (ModelServer, Int, Int?) -> Void,
    until end: @escaping @Sendable () async -> Void
  ) async throws {
    var quiet = settings.log
    quiet.logLevel = .warning
    let group = ServiceGroup(
      configuration: .init(services: [gateway], gracefulShutdownSignals: [], logger: quiet))
    try await withThrowingTaskGroup(of: Void.self) { tasks in
      tasks.addTask {
        do {
          try await group.run()
        } catch {
          throw ServingError(
            .cannotListen,
            "cannot serve on \(addressText(host: settings.gateway.host, port: settings.gateway.port))",
            cause: error)
        }
        throw CancellationError()
      }
      tasks.addTask { ready(self, try await gateway.port(), try await host.listener?.boundPort) }
      tasks.addTask {
        await end()
        settings.log.info("stopping; answers under way may finish")
        await host.node.stopAccepting()
        await group.triggerGracefulShutdown()
      }
      do {
        while try await tasks.next() != nil {}
      } catch is CancellationError {
        tasks.cancelAll()
      }
    }
  }

  /// The engine crashed the process: tells the clients, as far as there is time.
  public func engineCrashed() async { await gateway.engineCrashed() }
}
