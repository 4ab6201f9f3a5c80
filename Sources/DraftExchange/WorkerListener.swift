internal import Failures
internal import GRPCCore
internal import GRPCNIOTransportHTTP2
internal import NIOCore
internal import NIOPosix
internal import NetworkProblems
import Sockets
import SpeculationCore
import Synchronization

/// The controller's end of the exchange: accepts workers, checks what they send, and keeps what is to be sent
/// to them.
///
/// One listener runs once. Everything it does happens on one thread of its own, an event loop; `send` may be
/// called from anywhere.
public final class WorkerListener: Sendable {
  public struct Configuration: Sendable {
    /// Address to listen on, an IP address or "localhost".
    public var host: String
    /// 0: any free port, see ``WorkerListener/boundPort``.
    public var port: Int
    public var controllerName: String
    /// The target model, which a refused worker is told.
    public var modelName: String
    public var modelSummary: String
    public var softwareVersion: String
    public var vocabulary: PeerVocabulary
    public var limits: ExchangeLimits
    /// A worker that sent nothing for longer counts as gone.
    public var livenessTimeout: Duration
    /// Time between pings, which measure the round trip and show the worker that the controller is there.
    public var pingInterval: Duration
    /// Plaintext on an address that others can reach.
    public var allowInsecure: Bool
    public var security: ListenerSecurity

    public init(
      host: String = "127.0.0.1", port: Int, controllerName: String, modelName: String,
      modelSummary: String = "", softwareVersion: String = "0", vocabulary: PeerVocabulary,
      limits: ExchangeLimits = ExchangeLimits(), livenessTimeout: Duration = .seconds(3),
      pingInterval: Duration = .milliseconds(500), allowInsecure: Bool = false,
      security: ListenerSecurity = .plaintext
    ) {
      self.host = host
      self.port = port
      self.controllerName = controllerName
      self.modelName = modelName
      self.modelSummary = modelSummary
      self.softwareVersion = softwareVersion
      self.vocabulary = vocabulary
      self.limits = limits
      self.livenessTimeout = livenessTimeout
      self.pingInterval = pingInterval
      self.allowInsecure = allowInsecure
      self.security = security
    }
  }

  /// What happens to workers. For one worker: `attached`, then messages and round trips in the order of their
  /// arrival, then `detached` once. A decline in place of a message that was not sent may come at the same
  /// time as one of those.
  public enum Event: Sendable {
    case attached(WorkerID, WorkerIntroduction)
    case message(WorkerID, WorkerMessage)
    /// Time from sending a ping to its answer, queueing on both sides included.
    case roundTrip(WorkerID, Duration)
    /// It is about to leave: no further sessions, and those it has are to go elsewhere.
    case draining(WorkerID)
    case detached(WorkerID, reason: String)
    /// A peer that never became a worker. `peer` is its address.
    case refused(peer: String, reason: String)
    /// Connections cannot be accepted, or can be again.
    case accepting(AcceptEvent)
  }

  let configuration: Configuration
  let registry: WorkerRegistry
  private let address: HostAddress
  private let bound = OneShot<Int>()
  private let hasStarted = Atomic<Bool>(false)

  /// - Throws: ``ExchangeError`` when a setting makes no sense, or plaintext would leave this machine
  public init(_ configuration: Configuration) throws {
    var configuration = configuration
    configuration.makeNamesPresentable()
    self.configuration = configuration
    address = try HostAddress(configuration.host)
    registry = WorkerRegistry(limits: configuration.limits, security: configuration.security)
    if address.literal == nil {
      throw ExchangeError(
        code: .invalidConfiguration,
        message:
          "cannot listen on \"\(configuration.host)\": give an IP address of this machine, or localhost")
    }
    if case .plaintext = configuration.security {
      try address.requirePlaintextAllowed(allowInsecure: configuration.allowInsecure, to: "listen on")
    }
    if let problem = configuration.problem {
      throw ExchangeError(code: .invalidConfiguration, message: problem)
    }
  }

  /// Serves until the surrounding task is cancelled, and returns then.
  ///
  /// - Parameter onEvent: called on the listener's thread, which it must not block. The next message of the
  ///   same worker is read only when it has returned, so nothing gathers here while it waits; other workers
  ///   go on meanwhile
  /// - Throws: ``ExchangeError`` `cannotListen` when the port is taken or the address is not this machine's
  public func run(onEvent: @escaping @Sendable (Event) async -> Void) async throws {
    precondition(!hasStarted.exchange(true, ordering: .relaxed), "a WorkerListener runs once")
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let executor = EventLoopTaskExecutor(group.next())
    let result: Result<Void, any Error>
    do {
      try await withTaskExecutorPreference(executor) { try await serve(on: group, onEvent) }
      result = .success(())
    } catch {
      result = .failure(error)
    }
    registry.finish()
    bound.resolve(.failure(notListening))
    try? await group.shutdownGracefully()
    if !Task.isCancelled { try result.get() }
  }

  /// The port that is listened on. Waits until it is known.
  ///
  /// - Throws: ``ExchangeError`` when `run` ended, `CancellationError`
  public var boundPort: Int {
    get async throws { try await bound.value }
  }

  /// Queues a message, in order, and returns at once. Nothing happens when the worker is gone. A worker whose
  /// queue is full is disconnected.
  ///
  /// A message that the limits do not allow (a context that is too long, say) is not sent: its session is
  /// closed at the worker, and an event says that the worker declined it.
  public func send(_ message: ControllerMessage, to worker: WorkerID) {
    send(CollectionOfOne(message), to: worker)
  }

  /// Queues several messages at once, so that they travel together.
  public func send(_ messages: some Collection<ControllerMessage>, to worker: WorkerID) {
    registry.worker(worker)?.send(messages)
  }

  /// Ends an attachment; the worker is told the reason. An event follows.
  public func disconnect(_ worker: WorkerID, reason: String) {
    registry.worker(worker)?.end(.disconnected(reason))
  }

  /// Bytes of TCP payload exchanged with a worker on its connection, HTTP/2 and gRPC framing included. Known
  /// for attached workers and the last thousand that left; zero for others.
  public func traffic(of worker: WorkerID) -> (received: Int, sent: Int) {
    registry.traffic(of: worker)
  }

  /// Bytes of TCP payload over all connections so far, of refused peers too.
  public var totalTraffic: (received: Int, sent: Int) {
    (registry.total.received, registry.total.sent)
  }

  // MARK: Serving

  private func serve(
    on group: MultiThreadedEventLoopGroup, _ onEvent: @escaping @Sendable (Event) async -> Void
  ) async throws {
    let socket: GRPCNIOTransportCore.SocketAddress =
      switch address.literal {
      case .v6: .ipv6(host: address.host, port: configuration.port)
      default: .ipv4(host: address.host, port: configuration.port)
      }
    // The library's own TLS would accept version 1.2. `WorkerRegistry` puts TLS below this transport instead.
    let (accepts, accept) = AsyncStream.makeStream(of: AcceptEvent.self, bufferingPolicy: .bufferingNewest(8))
    let transport = HTTP2ServerTransport.Posix(
      address: socket, transportSecurity: .plaintext,
      config: transportConfiguration { accept.yield($0) }, eventLoopGroup: group)
    let service = AttachService(configuration: configuration, registry: registry, onEvent: onEvent)
    let server = GRPCServer(transport: transport, services: [service])
    try await withThrowingDiscardingTaskGroup { tasks in
      tasks.addTask {
        guard let address = try? await transport.listeningAddress else { return }
        guard let port = address.ipv4?.port ?? address.ipv6?.port else { return }
        self.bound.resolve(.success(port))
      }
      tasks.addTask {
        for await failure in self.registry.failures {
          await onEvent(.refused(peer: failure.peer, reason: failure.reason))
        }
      }
      tasks.addTask { for await event in accepts { await onEvent(.accepting(event)) } }
      defer {
        self.registry.finish()
        accept.finish()
      }
      do {
        try await server.serve()
      } catch {
        throw ExchangeError(
          code: .cannotListen,
          message: "cannot listen on \(configuration.address): \(Self.cause(of: error)); "
            + "choose another port or stop the program that has it")
      }
    }
  }

  private func transportConfiguration(
    onAccept: @escaping @Sendable (AcceptEvent) -> Void
  ) -> HTTP2ServerTransport.Posix.Config {
    let registry = registry
    return .defaults { config in
      // One connection is one worker, so that its bytes can be counted.
      config.http2.maxConcurrentStreams = 1
      config.http2.targetWindowSize = 1 << 20
      config.rpc.maxRequestPayloadSize = configuration.limits.maximumWorkerMessageBytes
      // A frame is complete when it is written; waiting for more would only add delay.
      config.connection.flushCoalescing = nil
      config.connection.keepalive.time = .seconds(10)
      config.connection.keepalive.timeout = .seconds(5)
      config.connection.keepalive.clientBehavior.allowWithoutCalls = true
      config.connection.keepalive.clientBehavior.minPingIntervalWithoutCalls = .seconds(5)
      config.channelDebuggingCallbacks.onBindTCPListener = { listener in
        listener.eventLoop.makeCompletedFuture {
          let pause = AcceptPause { event in
            if case .failed = event { registry.makeRoom() }
            onAccept(event)
          }
          try listener.pipeline.syncOperations.addHandler(pause, position: .first)
        }
      }
      config.channelDebuggingCallbacks.onAcceptTCPConnection = { channel in registry.accept(channel) }
    }
  }

  private var notListening: ExchangeError {
    ExchangeError(
      code: .cannotListen, message: "not listening on \(configuration.address)")
  }

  /// The innermost cause says what the system said.
  private static func cause(of error: any Error) -> String {
    var innermost = error
    while let cause = (innermost as? RuntimeError)?.cause { innermost = cause }
    return NetworkProblem.words(innermost)
  }
}

extension WorkerListener.Configuration {
  /// Names come from settings and model files; a worker would refuse some of them.
  mutating func makeNamesPresentable() {
    let names: [WritableKeyPath<Self, String>] = [
      \.controllerName, \.modelName, \.modelSummary, \.softwareVersion,
    ]
    for name in names {
      self[keyPath: name] = FieldChecks.presentable(self[keyPath: name], atMost: limits.maximumNameBytes)
    }
  }

  /// For messages.
  var address: String { addressText(host: host, port: port) }

  /// The first thing wrong; nil when all is well.
  var problem: String? {
    if !(0...65535).contains(port) { return "port must be between 0 and 65535, not \(port)" }
    if let problem = limits.problem { return problem }
    if pingInterval <= .zero || pingInterval > .seconds(60) {
      return "ping interval must be above 0 and at most 60 s, not \(pingInterval)"
    }
    if case .tls(let tls) = security, tls.recheckInterval <= .zero || tls.recheckInterval > .seconds(60) {
      return "recheck interval must be above 0 and at most 60 s, not \(tls.recheckInterval)"
    }
    if livenessTimeout < pingInterval || livenessTimeout > .seconds(3600) {
      return
        "liveness timeout must be between the ping interval (\(pingInterval)) and 1 h, not \(livenessTimeout)"
    }
    if !(1...limits.maximumVocabulary).contains(vocabulary.size) {
      return "vocabulary size must be between 1 and \(limits.maximumVocabulary), not \(vocabulary.size)"
    }
    return nil
  }
}
