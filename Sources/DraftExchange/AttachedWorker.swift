internal import GRPCCore
import SpeculationCore
import Synchronization

/// Why an attachment ends, as the controller sees it.
enum Ending: Error {
  case violation(FieldViolation)
  case refused(RPCError.Code, String)
  case silent(Duration)
  case noHandshake(Duration)
  case overflow(Int)
  case disconnected(String)
  case left(String)
  case lost(String)
  case stopping

  /// For both operators: the controller's event and the worker's status.
  var reason: String {
    switch self {
    case .violation(let violation): violation.description
    case .refused(_, let reason): reason
    case .silent(let timeout): "sent nothing for \(timeout.inSeconds) s: it counts as gone"
    case .noHandshake(let timeout): "did not introduce itself within \(timeout.inSeconds) s"
    case .overflow(let count): "too slow: \(count) messages wait to be sent to it"
    case .disconnected(let reason), .left(let reason), .lost(let reason): reason
    case .stopping: "the controller is stopping"
    }
  }

  /// The status that the worker gets; `failedPrecondition` tells it not to come back.
  var code: RPCError.Code {
    switch self {
    case .violation: .invalidArgument
    case .refused(let code, _): code
    case .silent, .noHandshake: .deadlineExceeded
    case .overflow: .resourceExhausted
    case .disconnected: .aborted
    case .left, .lost, .stopping: .unavailable
    }
  }
}

/// One attached worker: what waits for it, and how its attachment is to end.
final class AttachedWorker: Sendable {
  let id: WorkerID
  let introduction: WorkerIntroduction
  let connection: Connection
  let outbox: Outbox<ControllerItem>
  /// The declines that stand for messages which were not fit to send.
  let unsent: AsyncStream<WorkerMessage>
  private let unsentInput: AsyncStream<WorkerMessage>.Continuation
  private let codec: ControllerCodec
  private let ending = OneShot<Ending>()
  private let pings = Mutex<(last: UInt64, sent: [UInt64: ContinuousClock.Instant])>((0, [:]))

  init(id: WorkerID, introduction: WorkerIntroduction, connection: Connection, codec: ControllerCodec) {
    self.id = id
    self.introduction = introduction
    self.connection = connection
    self.codec = codec
    (unsent, unsentInput) = AsyncStream.makeStream(of: WorkerMessage.self)
    outbox = Outbox(
      maximumItems: codec.limits.maximumQueuedMessages, maximumBytes: codec.limits.maximumQueuedBytes,
      cost: ControllerCodec.cost)
  }

  // MARK: Sending

  func send(_ messages: some Collection<ControllerMessage>) {
    var items: [ControllerItem] = []
    items.reserveCapacity(messages.count)
    for message in messages {
      guard let problem = codec.problem(with: message) else {
        items.append(.message(message))
        continue
      }
      // The core has to hear that this session gets no help; to it, that is a worker that declined.
      let session = message.session
      if session.rawValue != 0 { items.append(.message(.close(session))) }
      unsentInput.yield(.declined(session, reason: "not sent: \(problem.field) \(problem.problem)"))
    }
    add(items)
  }

  /// Remembers when, so that the answer gives the round trip.
  func ping() {
    let limit = codec.limits.maximumUnansweredPings
    let sequence = pings.withLock { pings -> UInt64? in
      if pings.sent.count >= limit { return nil }
      pings.last += 1
      pings.sent[pings.last] = .now
      return pings.last
    }
    if let sequence {
      add([.ping(sequence)])
    } else {
      end(.refused(.deadlineExceeded, "left \(limit) pings unanswered"))
    }
  }

  /// - Throws: `Ending.violation` when no such ping is unanswered
  func pong(_ sequence: UInt64) throws(Ending) -> Duration {
    guard let sent = pings.withLock({ $0.sent.removeValue(forKey: sequence) }) else {
      throw .violation(
        FieldViolation(field: "pong.sequence", problem: "is \(sequence): no such ping waits"))
    }
    return .now - sent
  }

  private func add(_ items: [ControllerItem]) {
    switch outbox.add(items) {
    case .accepted, .finished: return
    case .overflow: end(.overflow(outbox.count))
    }
  }

  // MARK: Ending

  /// The first ending counts.
  func end(_ ending: Ending) {
    self.ending.resolve(.success(ending))
  }

  /// Waits for somebody to end the attachment.
  ///
  /// - Throws: the ending, or ``CancellationError``
  func waitForEnding() async throws {
    throw try await ending.value
  }
}
