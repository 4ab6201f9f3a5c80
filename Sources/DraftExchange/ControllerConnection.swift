internal import Failures
internal import GRPCCore
internal import GRPCNIOTransportHTTP2
internal import NIOCore
internal import NIOPosix
import SpeculationCore
import Synchronization

/// The worker's end of the exchange: dials a controller, introduces itself, and dials again whenever the
/// connection ends.
///
/// One connection object runs once. Everything it does happens on one thread of its own, an event loop; `send`
/// may be called from anywhere.
public final class ControllerConnection: Sendable {
  public struct Configuration: Sendable {
    /// Of the controller: an IP address or a name.
    public var host: String
    public var port: Int
    public var introduction: WorkerIntroduction
    public var vocabulary: PeerVocabulary
    public var limits: ExchangeLimits
    /// Seeded at random unless a seed is given, so that no two workers wait alike.
    public var backoff: Backoff
    /// A controller that sent nothing for longer counts as gone. At least three of its ping intervals are
    /// allowed in any case.
    public var controllerSilenceTimeout: Duration
    /// Plaintext to a controller on another machine.
    public var allowInsecure: Bool
    public var security: ConnectionSecurity

    public init(
      host: String = "127.0.0.1", port: Int, introduction: WorkerIntroduction, vocabulary: PeerVocabulary,
      limits: ExchangeLimits = ExchangeLimits(),
      backoff: Backoff = Backoff(seed: .random(in: UInt64.min...UInt64.max)),
      controllerSilenceTimeout: Duration = .seconds(3), allowInsecure: Bool = false,
      security: ConnectionSecurity = .plaintext
    ) {
      self.host = host
      self.port = port
      self.introduction = introduction
      self.vocabulary = vocabulary
      self.limits = limits
      self.backoff = backoff
      self.controllerSilenceTimeout = controllerSilenceTimeout
      self.allowInsecure = allowInsecure
      self.security = security
    }
  }

  public enum Event: Sendable {
    /// Welcomed. There are no sessions yet, whatever was open on an earlier connection.
    case connected(ControllerIntroduction)
    case message(ControllerMessage)
    /// There is no connection (any more), and with it no session. Another attempt follows.
    case disconnected(reason: String, retryIn: Duration)
  }

  let configuration: Configuration
  let address: HostAddress
  /// Bytes over all connections so far.
  let total = ByteCounter()
  private let current = Mutex<ControllerAttachment?>(nil)
  private let hasStarted = Atomic<Bool>(false)
  private let isDraining = Atomic<Bool>(false)
  private let isLeaving = Atomic<Bool>(false)

  /// - Throws: ``ExchangeError`` when a setting makes no sense, or plaintext would leave this machine
  public init(_ configuration: Configuration) throws {
    var configuration = configuration
    configuration.makeNamesPresentable()
    self.configuration = configuration
    address = try HostAddress(configuration.host)
    if case .plaintext = configuration.security {
      try address.requirePlaintextAllowed(allowInsecure: configuration.allowInsecure, to: "dial")
    }
    if let problem = configuration.problem {
      throw ExchangeError(code: .invalidConfiguration, message: problem)
    }
  }

  /// Keeps a connection to the controller until the surrounding task is cancelled, and returns then.
  ///
  /// - Parameter onEvent: called on the connection's thread, which it must not block, one event after the
  ///   other. The next message is read only when it has returned, so nothing gathers here while it waits.
  ///   The next attempt, too, begins only when `disconnected` was handled: who has ended its sessions by then
  ///   sends nothing of theirs on another connection
  /// - Throws: ``ExchangeError`` `refused` when the two sides do not fit; dialling again would not help
  public func run(onEvent: @escaping @Sendable (Event) async -> Void) async throws {
    precondition(!hasStarted.exchange(true, ordering: .relaxed), "a ControllerConnection runs once")
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let executor = EventLoopTaskExecutor(group.next())
    let result: Result<Void, any Error>
    do {
      try await withTaskExecutorPreference(executor) { try await keepConnected(on: group, onEvent) }
      result = .success(())
    } catch {
      result = .failure(error)
    }
    try? await group.shutdownGracefully()
    if !Task.isCancelled { try result.get() }
  }

  /// Queues a message, in order, and returns at once. Without a connection it is dropped, as every session
  /// ended with the connection; so are expansions of a session that the controller closed meanwhile. When the
  /// queue is full, the connection is given up and dialled anew.
  ///
  /// An expansion that the limits, or the controller's, do not allow is not sent; the session is declined
  /// instead.
  public func send(_ message: WorkerMessage) {
    send(CollectionOfOne(message))
  }

  /// Queues several messages at once, so that they travel together: best for the expansions of one pass.
  public func send(_ messages: some Collection<WorkerMessage>) {
    current.withLock { $0 }?.send(messages)
  }

  /// Gives the present connection up, tells the controller why, and dials anew: the controller broke a rule
  /// that only the worker's machine can check.
  public func reconnect(reason: String) {
    current.withLock { $0 }?.giveUp(reason: reason)
  }

  /// Tells the controller that this worker is about to leave. Also on every later connection.
  public func drain() {
    isDraining.store(true, ordering: .relaxed)
    current.withLock { $0 }?.drain()
  }

  /// Tells the controller that this worker leaves, and why, and does not come back: `run` returns. Returns when that was
  /// said.
  public func leave(reason: String) async {
    isLeaving.store(true, ordering: .relaxed)
    guard let attachment = current.withLock({ $0 }) else { return }
    attachment.giveUp(reason: reason)
    await attachment.ended()
  }

  /// Bytes of TCP payload over all connections so far, HTTP/2 and gRPC framing included.
  public var totalTraffic: (received: Int, sent: Int) { (total.received, total.sent) }

  // MARK: Connecting

  private func keepConnected(
    on group: MultiThreadedEventLoopGroup, _ onEvent: @escaping @Sendable (Event) async -> Void
  ) async throws {
    var backoff = BackoffSequence(configuration.backoff)
    while !Task.isCancelled {
      let attachment = ControllerAttachment(configuration: configuration, total: total, onEvent: onEvent)
      current.withLock { $0 = attachment }
      if isDraining.load(ordering: .relaxed) { attachment.drain() }
      let reason = try await attachment.run(dialling: address, on: group)
      current.withLock { $0 = nil }
      if Task.isCancelled || isLeaving.load(ordering: .relaxed) { return }
      let wait = backoff.next(afterConnectionOf: attachment.age)
      await onEvent(.disconnected(reason: reason, retryIn: wait))
      try await Task.sleep(for: wait)
    }
  }
}

extension ControllerConnection.Configuration {
  /// What comes from model files and builds; the operator's own names are refused instead, see ``problem``.
  mutating func makeNamesPresentable() {
    let names: [WritableKeyPath<WorkerIntroduction, String>] = [
      \.modelName, \.modelSummary, \.softwareVersion,
    ]
    for name in names {
      introduction[keyPath: name] = FieldChecks.presentable(
        introduction[keyPath: name], atMost: limits.maximumNameBytes)
    }
  }

  /// For messages.
  var address: String { addressText(host: host, port: port) }

  /// The first thing wrong; nil when all is well.
  var problem: String? {
    if !(1...65535).contains(port) { return "port must be between 1 and 65535, not \(port)" }
    if let problem = limits.problem ?? backoff.problem { return problem }
    if controllerSilenceTimeout <= .zero {
      return "controller silence timeout must be above zero, not \(controllerSilenceTimeout)"
    }
    if !(1...limits.maximumVocabulary).contains(vocabulary.size) {
      return "vocabulary size must be between 1 and \(limits.maximumVocabulary), not \(vocabulary.size)"
    }
    do throws(FieldViolation) {
      _ = try Handshake.read(Handshake.hello(introduction, vocabulary).hello, limits)
    } catch {
      return "introduction: \(error.field) \(error.problem)"
    }
    return nil
  }
}
