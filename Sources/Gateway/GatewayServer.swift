import Hummingbird
import HummingbirdCore
import Logging
import ModelBackend
import NIOCore
import NIOPosix
import NodeRuntime
import ServiceLifecycle
import Sockets
import Synchronization

/// The OpenAI-compatible HTTP server in front of a controller.
///
/// As a `Service` it drains on graceful shutdown: new generations are refused with status 503 and readiness ends,
/// while the socket stays open for load balancers to see that; generations under way finish, or are ended with an
/// error after `GatewayConfiguration.drainTimeout`; then the socket closes.
public final class GatewayServer: Service {
  private let configuration: GatewayConfiguration
  private let service: GenerationService
  private let metrics: GatewayMetrics
  private let log: Logger
  private let listening: Listening
  private let idle = IdleConnections()

  /// - Parameters:
  ///   - model: what the target says of itself
  ///   - tokenizer: of the target
  ///   - metrics: the same that observes `node`
  public init(
    node: ControllerNode, model: ModelDescription, tokenizer: any Tokenizer,
    configuration: GatewayConfiguration, metrics: GatewayMetrics,
    log: Logger = Logger(label: "wanspec.gateway")
  ) {
    self.configuration = configuration
    self.metrics = metrics
    self.log = log
    listening = Listening()
    service = GenerationService(
      node: node, model: model, tokenizer: tokenizer, configuration: configuration, metrics: metrics, log: log
    )
  }

  /// Port that the server listens on, as soon as it does.
  ///
  /// - Throws: what kept it from listening, for example that the port is taken.
  public func port() async throws -> Int { try await listening.port() }

  /// Generations under way.
  public var runningRequests: Int { service.registry.count }

  /// Serves until graceful shutdown or cancellation.
  ///
  /// - Throws: what kept the server from listening, `GatewayError` where it would be open by accident.
  public func run() async throws {
    do { try configuration.requireAccessAllowed() } catch {
      listening.fail(error)
      throw error
    }
    // Framework messages are for debugging; what operators need is logged here.
    var frameworkLog = Logger(label: "wanspec.gateway.http")
    frameworkLog.logLevel = max(log.logLevel, .warning)
    let responder = GatewayResponder(
      service: service, configuration: configuration, metrics: metrics, log: log)
    let application = Application(
      responder: responder,
      server: HTTPServerBuilder {
        [configuration, metrics, idle] (respond: @escaping HTTPChannelHandler.Responder) in
        GatewayChannel(responder: respond, configuration: configuration, metrics: metrics, idle: idle)
      },
      configuration: ApplicationConfiguration(
        address: .hostname(configuration.host, port: configuration.port), serverName: "wanspec",
        backlog: 1024,
        availableConnectionsDelegate: MaximumAvailableConnections(configuration.limits.connections)),
      onServerRunning: { [self, listening, log] channel in
        await pauseWhenExhausted(channel)
        let port = channel.localAddress?.port ?? 0
        log.info("listening", metadata: ["host": "\(self.configuration.host)", "port": "\(port)"])
        listening.succeed(port)
      },
      logger: frameworkLog)
    let group = ServiceGroup(
      configuration: .init(services: [application], gracefulShutdownSignals: [], logger: frameworkLog))
    // Detached, so that the signal to end reaches this server first and the sockets only after draining.
    let serving = Task.detached { try await group.run() }
    let result = await withTaskCancellationHandler {
      await withGracefulShutdownHandler {
        await serving.result
      } onGracefulShutdown: {
        Task {
          await self.drain()
          await group.triggerGracefulShutdown()
          // Clients that neither read nor close have had their time.
          try? await Task.sleep(for: .seconds(5))
          serving.cancel()
        }
      }
    } onCancel: {
      self.service.registry.endAll(.draining)
      serving.cancel()
    }
    if case .failure(let error) = result {
      listening.fail(error)
      throw error
    }
    listening.fail(CancellationError())
  }

  /// Where there are no descriptors for new connections, those that wait for a request make room.
  private func pauseWhenExhausted(_ listener: any Channel) async {
    try? await listener.eventLoop.submit { [idle, metrics, log] in
      let pause = AcceptPause { event in
        if case .failed = event {
          metrics.acceptFailed(on: .api)
          idle.makeRoom()
        }
        if let notice = event.notice { log.warning("the API's port \(notice)") }
      }
      try listener.pipeline.syncOperations.addHandler(pause, position: .first)
    }.get()
  }

  /// The process is about to end because the engine in it crashed: tells every client that waits for an answer, and
  /// returns when they have been told, which may be never. The node is not asked, which may wait for the engine.
  public func engineCrashed() async {
    service.drain()
    service.registry.endAll(.engineCrashed)
    await service.registry.waitUntilEmpty()
    // What was written is still on its way to the sockets.
    try? await Task.sleep(for: .milliseconds(200))
  }

  private func drain() async {
    service.drain()
    log.info("draining", metadata: ["generations": "\(service.registry.count)"])
    let timeout = Task { [service, configuration, log] in
      try await Task.sleep(for: configuration.drainTimeout)
      log.warning("ending what is still under way", metadata: ["generations": "\(service.registry.count)"])
      service.registry.endAll(.draining)
    }
    await service.registry.waitUntilEmpty()
    timeout.cancel()
  }
}

/// The port, for whoever waits for it.
private final class Listening: Sendable {
  private enum State {
    case waiting([CheckedContinuation<Int, any Error>])
    case known(Result<Int, any Error>)
  }

  private let state = Mutex(State.waiting([]))

  func port() async throws -> Int {
    try await withCheckedThrowingContinuation { continuation in
      let known = state.withLock { state -> Result<Int, any Error>? in
        switch state {
        case .known(let result): return result
        case .waiting(let waiters):
          state = .waiting(waiters + [continuation])
          return nil
        }
      }
      if let known { continuation.resume(with: known) }
    }
  }

  func succeed(_ port: Int) { settle(.success(port)) }
  func fail(_ error: any Error) { settle(.failure(error)) }

  /// The first result counts.
  private func settle(_ result: Result<Int, any Error>) {
    let waiters = state.withLock { state -> [CheckedContinuation<Int, any Error>] in
      guard case .waiting(let waiters) = state else { return [] }
      state = .known(result)
      return waiters
    }
    for waiter in waiters { waiter.resume(with: result) }
  }
}
