internal import Failures
internal import GRPCCore
internal import GRPCNIOTransportHTTP2
internal import NIOCore
internal import NIOPosix
internal import NIOSSL
internal import NetworkProblems
import SpeculationCore
import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// One attempt of a worker to attach to its controller, and the attachment that comes of it.
final class ControllerAttachment: Sendable {
  /// Time for a goodbye to leave before the connection is closed.
  private static let goodbyeGrace = Duration.milliseconds(100)

  private let configuration: ControllerConnection.Configuration
  private let total: ByteCounter
  private let onEvent: @Sendable (ControllerConnection.Event) async -> Void
  private let outbox: Outbox<OutgoingWorkerItem>
  /// From the welcome on with the controller's limits where they are below ours.
  private let codec: Mutex<WorkerCodec>
  private let welcomed = Mutex<ContinuousClock.Instant?>(nil)
  /// Known from the welcome on.
  private let silenceTimeout = Mutex<Duration?>(nil)
  private let pingInterval = OneShot<Duration>()
  /// How often something was queued other than signs of life.
  private let additions = Atomic<Int>(0)
  private let connection = Mutex<Connection?>(nil)
  private let givenUp = OneShot<Lost>()
  private let over = OneShot<Void>()
  /// Why TLS did not come about, where the library says so.
  private let tlsFailure = Mutex<String?>(nil)

  init(
    configuration: ControllerConnection.Configuration, total: ByteCounter,
    onEvent: @escaping @Sendable (ControllerConnection.Event) async -> Void
  ) {
    self.configuration = configuration
    self.total = total
    self.onEvent = onEvent
    codec = Mutex(WorkerCodec(limits: configuration.limits, vocabularySize: configuration.vocabulary.size))
    outbox = Outbox(
      maximumItems: configuration.limits.maximumQueuedMessages,
      maximumBytes: configuration.limits.maximumQueuedBytes, cost: WorkerCodec.cost)
  }

  /// Time since the welcome; zero when there was none.
  var age: Duration { welcomed.withLock { $0.map { .now - $0 } } ?? .zero }

  func send(_ messages: some Collection<WorkerMessage>) {
    guard welcomed.withLock({ $0 != nil }) else { return }
    let codec = codec.withLock { $0 }
    add(
      messages.map { message in
        guard let problem = codec.problem(with: message) else { return .message(message) }
        return .message(
          .declined(message.session, reason: "not sent: \(problem.field) \(problem.problem)"))
      })
  }

  private func add(_ items: [OutgoingWorkerItem]) {
    additions.add(1, ordering: .relaxed)
    if outbox.add(items) == .overflow {
      givenUp.resolve(.success(Lost("too slow: \(outbox.count) messages wait to be sent")))
    }
  }

  /// Says that no more sessions are wanted.
  func drain() { add([.draining]) }

  /// Ends the attachment for a reason that only its user can see.
  func giveUp(reason: String) {
    givenUp.resolve(.success(Lost(reason)))
  }

  /// Waits until `run` is about to return.
  func ended() async { try? await over.value }

  // MARK: Running

  /// An attempt that ended in a way that the next one may not.
  private struct Lost: Error {
    var reason: String
    init(_ reason: String) { self.reason = reason }
  }

  /// Attaches, and stays until the connection ends.
  ///
  /// - Returns: why it ended
  /// - Throws: ``ExchangeError`` when another attempt would end the same way
  func run(dialling address: HostAddress, on group: MultiThreadedEventLoopGroup) async throws -> String {
    defer {
      outbox.finish()
      over.resolve(.success(()))
    }
    do {
      try await attach(dialling: address, on: group)
      return givenUp.known?.reason ?? "the controller ended the connection"
    } catch let error as ExchangeError {
      throw error
    } catch let lost as Lost {
      return lost.reason
    } catch let violation as FieldViolation {
      return "the controller broke the protocol: \(violation)"
    } catch let error as RPCError {
      // The answer to our goodbye may come before we have left.
      return try givenUp.known?.reason ?? reason(of: error)
    } catch {
      return "the connection was lost: \(NetworkProblem.words(error))"
    }
  }

  private func attach(dialling address: HostAddress, on group: MultiThreadedEventLoopGroup) async throws {
    let (security, token) = try prepareSecurity(for: address)
    let isEncrypted = if case .tls = configuration.security { true } else { false }
    // The library's own TLS would accept version 1.2; ours goes below its transport.
    let client = GRPCClient(
      transport: try HTTP2ClientTransport.Posix(
        target: address.target(port: configuration.port),
        transportSecurity: isEncrypted ? .customSecure : .plaintext,
        config: transportConfiguration(security), eventLoopGroup: group))
    try await withThrowingTaskGroup(of: Void.self) { tasks in
      tasks.addTask {
        // Ends when it is cancelled: it has nothing to say about the attachment.
        try? await client.runConnections()
        try await Task.sleep(for: .seconds(3600))
      }
      tasks.addTask { try await self.converse(over: client, token: token) }
      tasks.addTask { try await self.watch() }
      tasks.addTask { try await self.showLife() }
      tasks.addTask {
        let lost = try await self.givenUp.value
        await self.leave(lost.reason)
        throw lost
      }
      defer {
        tasks.cancelAll()
        connection.withLock { $0 }?.close()
      }
      try await tasks.next()
    }
  }

  /// The handlers that encrypt this attempt's connection, and the token to show.
  private func prepareSecurity(
    for address: HostAddress
  ) throws -> (handlers: @Sendable () throws -> [any ChannelHandler], token: String?) {
    guard case .tls(let tls) = configuration.security else { return ({ [] }, nil) }
    let context: NIOSSLContext
    do {
      context = try tls.context()
    } catch {
      throw Lost("cannot set up TLS: \(error)")
    }
    // Without a name the certificate must have the address that was dialled.
    let name = tls.serverName ?? address.name
    let handlers: @Sendable () throws -> [any ChannelHandler] = { [self] in
      let failed = { @Sendable [self] (problem: String) in tlsFailure.withLock { $0 = problem } }
      return [
        try NIOSSLClientHandler(context: context, serverHostname: name),
        ServerNameGate(
          hasName: { certificate in name.map { tls.isCertificate(certificate, $0) } ?? true },
          onFailure: { failed(TLSFailure.otherName) }),
        TLSFailureObserver(onFailure: failed),
      ]
    }
    let token = tls.token()
    guard token?.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) ?? true,
      token?.utf8.count ?? 0 <= PresentedCredentials.maximumTokenBytes
    else { throw Lost("the join token holds blanks or other characters that no token has") }
    return (handlers, token)
  }

  private func transportConfiguration(
    _ security: @escaping @Sendable () throws -> [any ChannelHandler]
  ) -> HTTP2ClientTransport.Posix.Config {
    .defaults { config in
      config.http2.targetWindowSize = 4 << 20
      // A frame is complete when it is written; waiting for more would only add delay.
      config.connection.flushCoalescing = nil
      config.connection.keepalive = .init(time: .seconds(10), timeout: .seconds(5), allowWithoutCalls: true)
      config.channelDebuggingCallbacks.onCreateTCPConnection = { [self] channel in
        let connection = Connection(channel: channel, total: total)
        self.connection.withLock { $0 = connection }
        return connection.install(security: security)
      }
    }
  }

  private func converse(
    over client: GRPCClient<HTTP2ClientTransport.Posix>, token: String?
  ) async throws {
    let metadata: Metadata = token.map { ["authorization": "Bearer \($0)"] } ?? [:]
    var options = CallOptions.defaults
    options.waitForReady = false
    options.maxResponseMessageBytes = configuration.limits.maximumControllerMessageBytes
    try await Wanspec_V1_DraftExchange.Client(wrapping: client).attach(metadata: metadata, options: options) {
      writer in
      try await self.write(to: writer)
    } onResponse: { response in
      do {
        try await self.read(response.messages)
      } catch let violation as FieldViolation {
        await self.leave(violation.description)
        throw violation
      }
    }
  }

  private func write(to writer: RPCWriter<Wanspec_V1_WorkerFrame>) async throws {
    try await writer.write(Handshake.hello(configuration.introduction, configuration.vocabulary))
    try await outbox.forEachBatch { items in
      let frames = codec.withLock { $0 }.frames(items)
      try await writer.write(contentsOf: frames)
    }
  }

  private func read(_ frames: RPCAsyncSequence<Wanspec_V1_ControllerFrame, any Error>) async throws {
    let codec = ControllerCodec(limits: configuration.limits, vocabularySize: configuration.vocabulary.size)
    var isWelcome = false
    for try await frame in frames {
      guard isWelcome else {
        let controller = try accept(frame)
        isWelcome = true
        welcomed.withLock { $0 = .now }
        await onEvent(.connected(controller))
        continue
      }
      for item in try codec.read(frame) {
        switch item {
        case .ping(let sequence): add([.pong(sequence)])
        case .message(let message):
          if case .close(let session) = message { drop(session) }
          await onEvent(.message(message))
        }
      }
    }
  }

  /// - Throws: ``ExchangeError`` or ``FieldViolation`` when the controller cannot be used
  private func accept(_ frame: Wanspec_V1_ControllerFrame) throws -> ControllerIntroduction {
    guard frame.hasWelcome else {
      throw FieldViolation(field: "welcome", problem: "is missing: the first frame welcomes the worker")
    }
    if let mismatch = Handshake.mismatch(controller: Handshake.version(of: frame.welcome), worker: .current) {
      throw ExchangeError(code: .refused, message: mismatch)
    }
    let isAlone = !frame.hasPing && frame.opens.isEmpty && frame.commits.isEmpty && frame.closes.isEmpty
    try FieldChecks.require(isAlone, "welcome", "is not alone in its frame")
    let (controller, vocabulary) = try Handshake.read(frame.welcome, configuration.limits)
    let mismatch = Handshake.mismatch(
      target: controller.modelName, vocabulary, draft: configuration.introduction.modelName,
      configuration.vocabulary)
    if let mismatch { throw ExchangeError(code: .refused, message: mismatch) }
    codec.withLock { codec in
      codec.limits.maximumCandidates = min(codec.limits.maximumCandidates, controller.maximumCandidates)
      codec.limits.maximumContextLength = min(
        codec.limits.maximumContextLength, controller.maximumContextLength)
    }
    silenceTimeout.withLock { $0 = max(configuration.controllerSilenceTimeout, controller.pingInterval * 3) }
    pingInterval.resolve(.success(controller.pingInterval))
    return controller
  }

  /// Expansions of a closed session that still wait would only cost bandwidth.
  private func drop(_ session: SessionID) {
    outbox.removeAll { item in
      if case .message(let message) = item { message.session == session } else { false }
    }
  }

  /// Sends an empty frame at every ping interval in which nothing else was sent: a long opening on a slow
  /// link keeps back the pings whose answers would show that this worker is there.
  private func showLife() async throws {
    let interval = try await pingInterval.value
    var before = additions.load(ordering: .relaxed)
    while true {
      try await Task.sleep(for: interval)
      let now = additions.load(ordering: .relaxed)
      // What waits will show it as soon as anything can leave.
      if now == before && outbox.count == 0 { _ = outbox.add([.signOfLife]) }
      before = now
    }
  }

  // MARK: Ending

  /// Says goodbye, because only a server can end a call with a reason, and gives that a moment to arrive.
  private func leave(_ reason: String) async {
    _ = outbox.add([.goodbye(reason)])
    outbox.finish()
    try? await Task.sleep(for: Self.goodbyeGrace)
  }

  private func watch() async throws {
    let handshakeTimeout = configuration.limits.handshakeTimeout
    let start = ContinuousClock.now
    while silenceTimeout.withLock({ $0 }) == nil {
      if .now - start >= handshakeTimeout {
        throw Lost(
          "no welcome from \(configuration.address) within \(handshakeTimeout.inSeconds) s"
        )
      }
      try await Task.sleep(for: min(.milliseconds(100), handshakeTimeout))
    }
    guard let limit = silenceTimeout.withLock({ $0 }), let connection = connection.withLock({ $0 }) else {
      return
    }
    try await connection.waitForSilence(of: limit)
    throw Lost("the controller sent nothing for \(limit.inSeconds) s")
  }

  /// - Throws: ``ExchangeError`` when the controller does not want this worker at all
  private func reason(of error: RPCError) throws -> String {
    let said = FieldChecks.presentable(error.message, atMost: configuration.limits.maximumReasonBytes)
    switch error.code {
    case .failedPrecondition:
      throw ExchangeError(code: .refused, message: said)
    case .unauthenticated, .permissionDenied:
      // A renewed certificate or token may be there at the next attempt.
      return "the controller does not accept this worker: \(said)"
    case .unimplemented:
      throw ExchangeError(
        code: .refused,
        message: "\(configuration.address) is no wanspec controller of protocol version "
          + "\(ProtocolVersion.current): \(said)")
    default:
      if welcomed.withLock({ $0 == nil }) {
        let isEncrypted = if case .tls = configuration.security { true } else { false }
        let problem =
          connection.withLock { $0 }?.firstBytes?.surpriseToWorker(isEncrypted: isEncrypted)
          ?? tlsFailure.withLock { $0 } ?? Self.innermost(error)
        return "cannot attach to \(configuration.address): \(problem)"
      }
      // A controller says why, with one of these; anything else is gRPC's word for a broken connection.
      let isSaid = [.invalidArgument, .deadlineExceeded, .resourceExhausted, .aborted].contains(error.code)
      return "\(isSaid ? "the controller ended the connection" : "the connection was lost"): \(said)"
    }
  }

  private static func innermost(_ error: RPCError) -> String {
    var innermost: any Error = error
    while let cause = (innermost as? RPCError)?.cause { innermost = cause }
    let words = (innermost as? RPCError)?.message.withoutSourcePlaces ?? NetworkProblem.words(innermost)
    return FieldChecks.presentable(words, atMost: 1024)
  }
}

extension HostAddress {
  /// For gRPC's resolver.
  func target(port: Int) -> any ResolvableTarget {
    switch literal {
    case .v4: ResolvableTargets.IPv4(addresses: [.init(host: host, port: port)])
    case .v6: ResolvableTargets.IPv6(addresses: [.init(host: host, port: port)])
    case nil: ResolvableTargets.DNS(host: host, port: port)
    }
  }
}
