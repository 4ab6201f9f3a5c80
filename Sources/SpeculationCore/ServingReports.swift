/// Figures of a generation so far.
public struct SessionProgress: Hashable, Sendable {
  public var statistics: SessionStatistics
  /// Tokens of the prompt that the target still had in its cache.
  public var cachedPromptTokens: Int

  public init(statistics: SessionStatistics = SessionStatistics(), cachedPromptTokens: Int = 0) {
    self.statistics = statistics
    self.cachedPromptTokens = cachedPromptTokens
  }
}

/// Figures of one finished generation.
public struct SessionSummary: Hashable, Sendable {
  public var reason: SessionMachine.FinishReason
  public var statistics: SessionStatistics
  public var promptTokens: Int
  /// Tokens of the prompt that the target still had in its cache.
  public var cachedPromptTokens: Int
  /// How often it had to make room for others.
  public var preemptions: Int
  /// From the request to its admission.
  public var timeInQueue: Duration
  /// From the request to the first committed token; nil when there was none.
  public var timeToFirstToken: Duration?
  /// From the first committed token to the last.
  public var decodeTime: Duration
  /// From the time when a worker was first asked to draft for it to the first guess; nil when there was none.
  public var timeToFirstGuess: Duration?
  /// For each step but the first: time from the end of one target pass to the end of the next, less what the engines
  /// computed for it: the controller's own share (decide, map, send, commit, change threads both ways).
  public var stepOverheads: [Duration]

  public init(
    reason: SessionMachine.FinishReason, statistics: SessionStatistics, promptTokens: Int,
    cachedPromptTokens: Int = 0, preemptions: Int = 0, timeInQueue: Duration = .zero,
    timeToFirstToken: Duration? = nil, decodeTime: Duration = .zero, timeToFirstGuess: Duration? = nil,
    stepOverheads: [Duration] = []
  ) {
    self.reason = reason
    self.statistics = statistics
    self.promptTokens = promptTokens
    self.cachedPromptTokens = cachedPromptTokens
    self.preemptions = preemptions
    self.timeInQueue = timeInQueue
    self.timeToFirstToken = timeToFirstToken
    self.decodeTime = decodeTime
    self.timeToFirstGuess = timeToFirstGuess
    self.stepOverheads = stepOverheads
  }

  /// Time from the first committed token to the last over tokens - 1, in milliseconds; nil below two tokens.
  public var millisecondsPerToken: Double? {
    statistics.tokens > 1 ? decodeTime.inMilliseconds / Double(statistics.tokens - 1) : nil
  }
}

/// Something about a generation that an operator would want to know.
public enum SessionNote: Hashable, Sendable, CustomStringConvertible {
  case workerDrafts(name: String)
  case workerDeclined(name: String, reason: String)
  case workerGone(name: String, reason: String)
  case localDraftFailed(reason: String)
  case preempted

  public var description: String {
    switch self {
    case .workerDrafts(let name): "worker \(name) drafts"
    case .workerDeclined(let name, let reason): "worker \(name) declined: \(reason)"
    case .workerGone(let name, let reason): "worker \(name) is gone: \(reason)"
    case .localDraftFailed(let reason): "drafting locally failed, going on without: \(reason)"
    case .preempted: "waits until others have left room in the cache"
    }
  }
}

extension ServingMachine {
  public var runningCount: Int { admission.runningCount }
  public var waitingCount: Int { admission.waitingCount }
  /// Cells of the target's cache that are claimed.
  public var claimedCells: Int { admission.claimed }
  public var preemptions: Int { admission.preemptions }
  /// False once requests are refused.
  public var acceptsRequests: Bool { isAccepting }
  /// Why the target no longer works; nil while it does.
  public var engineFailure: String? { health.failure }
  /// T(n) as far as it is known.
  public var targetCost: CostCurve { estimates.targetCost }
  public var localCost: CostCurve { estimates.localCost }
  /// Attached workers in the order in which they came.
  public var attachedWorkers: [WorkerID] { pool.attached }
  /// A worker as operators see it; nil for one that is not attached.
  public func describe(_ worker: WorkerID) -> WorkerPool.Description? { pool.describe(worker) }
  /// The session's own machine; nil for one that is over. For checkers.
  package func machine(of session: SessionID) -> SessionMachine? {
    sessions.contains(session) ? sessions[session].machine : nil
  }
  /// Sessions in the order of their admission, those that run. For checkers.
  package var running: [SessionID] { admission.runningSessions }
  package func claim(of session: SessionID) -> Int? { admission.claim(of: session) }

  /// Everything that must hold between events; the first breach as a sentence. For tests.
  package var brokenInvariant: String? {
    if let broken = admission.brokenInvariant ?? pool.brokenInvariant { return broken }
    for id in sessions.ids {
      if let broken = sessions[id].machine.brokenInvariant { return "\(id): \(broken)" }
    }
    if sessions.count != admission.runningCount + admission.waitingCount {
      return "\(sessions.count) sessions, \(admission.runningCount) run and \(admission.waitingCount) wait"
    }
    let drafters = sessions.ids.count { sessions[$0].mayDraftAtLocal && sessions[$0].admitted != nil }
    if drafters != localDrafters { return "\(drafters) sessions may draft locally, counted \(localDrafters)" }
    if pass == nil, !admission.isWaitingForRelease,
      let idle = admission.runningSessions.first(where: { sessions[$0].machine.isReady }),
      !admission.isReleasing
    {
      return "\(idle) is ready and the target rests"
    }
    return nil
  }
}
