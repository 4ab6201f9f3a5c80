import SpeculationCore

/// What happened at a controller, and when: for metrics, and for looking at a run afterwards.
///
/// Times are `MonotonicClock`'s.
public enum NodeEvent: Sendable {
  case requested(SessionID, at: Timestamp, promptTokens: Int)
  /// The session has left the queue.
  case admitted(SessionID, at: Timestamp, queued: Duration)
  case targetPass(TargetPass)
  /// The controller's own draft model expanded nodes, so many of each session.
  case localDraftPass(ended: Timestamp, duration: Duration, sessions: [(session: SessionID, nodes: Int)])
  /// A worker's frame brought an expansion of a session.
  case expansion(SessionID, from: WorkerID, at: Timestamp)
  case committed(SessionID, at: Timestamp, tokens: [SessionMachine.CommittedToken])
  case finished(SessionID, at: Timestamp, SessionSummary)
  case workerAttached(WorkerID, at: Timestamp, name: String)
  case workerDetached(WorkerID, at: Timestamp, name: String, reason: String)
  /// A session was given to a worker, or taken from it.
  case placed(SessionID, on: WorkerID, at: Timestamp)
  case displaced(SessionID, from: WorkerID, at: Timestamp)
  case roundTrip(WorkerID, at: Timestamp, Duration)
  /// The target has decided an answer once more, alone, or will not.
  case audited(AuditFinding, AuditedRequest, at: Timestamp)

  public struct TargetPass: Sendable {
    public var ended: Timestamp
    /// Time that the engine computed.
    public var duration: Duration
    /// Tokens that it ran through the model, prefill included.
    public var tokens: Int
    /// Sessions in the pass, and how many guesses of each it checked.
    public var sessions: [(session: SessionID, guesses: Int)]
  }
}

/// Hears of every event, in order. Called on the node's own executor: it must be quick and must not block.
public protocol NodeObserver: Sendable {
  func observe(_ event: NodeEvent)
}
