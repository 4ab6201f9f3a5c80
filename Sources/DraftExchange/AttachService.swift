internal import Failures
internal import GRPCCore
internal import NIOCore
internal import NetworkProblems
import SpeculationCore
import Synchronization

/// `wanspec.v1.DraftExchange` as a controller serves it: one call of `attach` is one attachment.
struct AttachService: Wanspec_V1_DraftExchange.StreamingServiceProtocol {
  /// Time for the last status to reach the worker before its connection is closed under it.
  private static let closingGrace = TimeAmount.seconds(1)

  let configuration: WorkerListener.Configuration
  let registry: WorkerRegistry
  let onEvent: @Sendable (WorkerListener.Event) async -> Void

  func attach(
    request: StreamingServerRequest<Wanspec_V1_WorkerFrame>, context: ServerContext
  ) async throws -> StreamingServerResponse<Wanspec_V1_ControllerFrame> {
    StreamingServerResponse { writer in
      try await attach(request, writer, context)
      return [:]
    }
  }

  private func attach(
    _ request: StreamingServerRequest<Wanspec_V1_WorkerFrame>,
    _ response: RPCWriter<Wanspec_V1_ControllerFrame>, _ context: ServerContext
  ) async throws {
    guard let connection = registry.connection(of: context.remotePeer) else {
      throw RPCError(code: .internalError, message: "no connection is known for \(context.remotePeer)")
    }
    connection.noteCall()
    // A worker closes its connection when the call is over. A frozen or a hostile one has it closed.
    defer { connection.close(after: Self.closingGrace) }
    let attachment = Attachment()
    let ending: Ending
    do {
      let identity = try await authenticate(request.metadata, connection)
      try await withThrowingTaskGroup(of: Void.self) { tasks in
        defer { tasks.cancelAll() }
        let (attached, announce) = AsyncStream.makeStream(of: AttachedWorker.self)
        tasks.addTask {
          defer { announce.finish() }
          try await read(request.messages, connection, identity, attachment, announce)
        }
        tasks.addTask {
          let worker = try await handshake(attached)
          try await withThrowingTaskGroup(of: Void.self) { tasks in
            defer { tasks.cancelAll() }
            tasks.addTask { try await write(worker, to: response) }
            tasks.addTask { try await reportUnsent(worker) }
            tasks.addTask { try await ping(worker) }
            tasks.addTask { try await watch(worker) }
            tasks.addTask { try await worker.waitForEnding() }
            tasks.addTask { try await recheck(worker) }
            try await tasks.next()
          }
        }
        try await tasks.next()
      }
      preconditionFailure("every task of an attachment ends by throwing")
    } catch let error as Ending {
      ending = error
    } catch let error as FieldViolation {
      ending = .violation(error)
    } catch let error as RPCError where error.code == .invalidArgument {
      ending = .violation(
        FieldViolation(field: "frame", problem: "is not a WorkerFrame: \(error.message)"))
    } catch {
      ending = Task.isCancelled ? .stopping : .lost(Self.describe(error))
    }
    if let worker = attachment.worker {
      registry.detach(worker)
      worker.outbox.finish()
      await onEvent(.detached(worker.id, reason: ending.reason))
    } else {
      await onEvent(.refused(peer: context.remotePeer, reason: ending.reason))
    }
    if case .left = ending { return }
    throw RPCError(code: ending.code, message: ending.reason)
  }

  // MARK: Who may attach

  /// - Returns: nil where nobody is asked who they are
  /// - Throws: ``Ending`` `refused`
  private func authenticate(_ metadata: Metadata, _ connection: Connection) async throws -> WorkerIdentity? {
    let token = try Self.token(in: metadata)
    guard case .tls(let tls) = configuration.security else {
      if token == nil { return nil }
      throw Ending.refused(
        .unauthenticated,
        "a join token came over an unencrypted connection: revoke it, and set up TLS on both sides")
    }
    let credentials = PresentedCredentials(certificate: await connection.peerCertificate, token: token)
    do {
      return try tls.authenticator.authenticate(credentials)
    } catch {
      throw Ending.refused(.unauthenticated, error.description)
    }
  }

  /// The token of "authorization: Bearer TOKEN".
  private static func token(in metadata: Metadata) throws(Ending) -> String? {
    var values = metadata[stringValues: "authorization"].makeIterator()
    guard let value = values.next() else { return nil }
    let prefix = "Bearer "
    guard values.next() == nil, value.hasPrefix(prefix),
      value.utf8.count <= prefix.utf8.count + PresentedCredentials.maximumTokenBytes
    else {
      throw .refused(.unauthenticated, "the authorization header is not \"Bearer\" and one join token")
    }
    return String(value.dropFirst(prefix.count))
  }

  /// Ends the attachment when its worker is not to be let in any more.
  private func recheck(_ worker: AttachedWorker) async throws {
    while true {
      guard case .tls(let tls) = configuration.security, let identity = worker.introduction.identity else {
        try await Task.sleep(for: .seconds(3600))
        continue
      }
      try await Task.sleep(for: tls.recheckInterval)
      if let problem = tls.authenticator.problem(with: identity) {
        throw Ending.refused(.permissionDenied, problem)
      }
    }
  }

  // MARK: The tasks of one attachment

  /// Takes in what the worker sends, one event after the other: while one is being handled nothing more is
  /// read, and HTTP/2's flow control stops a worker that sends faster than that.
  ///
  /// - Throws: always; the end of the stream is an ending, too
  private func read(
    _ frames: RPCAsyncSequence<Wanspec_V1_WorkerFrame, any Error>, _ connection: Connection,
    _ identity: WorkerIdentity?, _ attachment: Attachment,
    _ announce: AsyncStream<AttachedWorker>.Continuation
  ) async throws {
    let codec = WorkerCodec(limits: configuration.limits, vocabularySize: configuration.vocabulary.size)
    for try await frame in frames {
      guard let worker = attachment.worker else {
        let worker = try admit(frame, connection, identity)
        attachment.worker = worker
        await onEvent(.attached(worker.id, worker.introduction))
        announce.yield(worker)
        continue
      }
      for item in try codec.read(frame) {
        switch item {
        case .pong(let sequence):
          let roundTrip = try worker.pong(sequence)
          await onEvent(.roundTrip(worker.id, roundTrip))
        case .message(let message): await onEvent(.message(worker.id, message))
        case .draining: await onEvent(.draining(worker.id))
        case .goodbye(let reason): throw Ending.left("the worker left: \(reason)")
        }
      }
    }
    throw Task.isCancelled ? Ending.stopping : Ending.left("the worker closed the stream")
  }

  /// - Throws: ``Ending`` or ``FieldViolation`` when the worker cannot be used
  private func admit(
    _ frame: Wanspec_V1_WorkerFrame, _ connection: Connection, _ identity: WorkerIdentity?
  ) throws -> AttachedWorker {
    guard frame.hasHello else {
      throw FieldViolation(field: "hello", problem: "is missing: the first frame introduces the worker")
    }
    if let mismatch = Handshake.mismatch(controller: .current, worker: Handshake.version(of: frame.hello)) {
      throw Ending.refused(.failedPrecondition, mismatch)
    }
    let isAlone =
      !frame.hasPong && frame.expansions.isEmpty && frame.declined.isEmpty && !frame.hasGoodbye
      && !frame.draining
    try FieldChecks.require(isAlone, "hello", "is not alone in its frame")
    var (introduction, vocabulary) = try Handshake.read(frame.hello, configuration.limits)
    if let identity { introduction.identify(as: identity) }
    let mismatch = Handshake.mismatch(
      target: configuration.modelName, configuration.vocabulary, draft: introduction.modelName, vocabulary)
    if let mismatch { throw Ending.refused(.failedPrecondition, mismatch) }
    let codec = ControllerCodec(limits: configuration.limits, vocabularySize: configuration.vocabulary.size)
    let worker = registry.attach { [introduction] id in
      AttachedWorker(id: id, introduction: introduction, connection: connection, codec: codec)
    }
    guard let worker else {
      throw Ending.refused(
        .resourceExhausted, "the controller has its limit of \(configuration.limits.maximumWorkers) workers")
    }
    return worker
  }

  private func handshake(_ attached: AsyncStream<AttachedWorker>) async throws -> AttachedWorker {
    let timeout = configuration.limits.handshakeTimeout
    return try await withThrowingTaskGroup(of: AttachedWorker?.self) { tasks in
      tasks.addTask { await attached.first { _ in true } }
      tasks.addTask {
        try await Task.sleep(for: timeout)
        throw Ending.noHandshake(timeout)
      }
      defer { tasks.cancelAll() }
      if let worker = try await tasks.next() ?? nil { return worker }
      // Reading failed before there was a worker. The reading task knows why, so it must be the one to end
      // the attachment.
      while true { try await Task.sleep(for: timeout) }
    }
  }

  private func write(
    _ worker: AttachedWorker, to response: RPCWriter<Wanspec_V1_ControllerFrame>
  ) async throws {
    try await response.write(Handshake.welcome(introduction(to: worker), configuration.vocabulary))
    let codec = ControllerCodec(limits: configuration.limits, vocabularySize: configuration.vocabulary.size)
    try await worker.outbox.forEachBatch { try await response.write(contentsOf: codec.frames($0)) }
    throw CancellationError()
  }

  private func reportUnsent(_ worker: AttachedWorker) async throws {
    for await message in worker.unsent { await onEvent(.message(worker.id, message)) }
    throw CancellationError()
  }

  private func introduction(to worker: AttachedWorker) -> ControllerIntroduction {
    ControllerIntroduction(
      name: configuration.controllerName, modelName: configuration.modelName,
      modelSummary: configuration.modelSummary, softwareVersion: configuration.softwareVersion,
      worker: worker.id, pingInterval: configuration.pingInterval,
      livenessTimeout: configuration.livenessTimeout,
      maximumCandidates: configuration.limits.maximumCandidates,
      maximumContextLength: configuration.limits.maximumContextLength)
  }

  private func ping(_ worker: AttachedWorker) async throws {
    while true {
      worker.ping()
      try await Task.sleep(for: configuration.pingInterval)
    }
  }

  private func watch(_ worker: AttachedWorker) async throws {
    try await worker.connection.waitForSilence(of: configuration.livenessTimeout)
    throw Ending.silent(configuration.livenessTimeout)
  }

  private static func describe(_ error: any Error) -> String {
    switch error {
    case let error as RPCError:
      "the connection to the worker was lost: \(error.message.withoutSourcePlaces)"
    case is CancellationError:
      "the worker cancelled the stream or its connection was lost"
    default:
      "the connection to the worker was lost: \(NetworkProblem.words(error))"
    }
  }

  /// The worker of one call, once it is admitted. Only the listener's thread touches it.
  private final class Attachment: Sendable {
    private let state = Mutex<AttachedWorker?>(nil)

    var worker: AttachedWorker? {
      get { state.withLock { $0 } }
      set { state.withLock { $0 = newValue } }
    }
  }
}
