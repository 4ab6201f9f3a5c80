/// Everything that a controller decides: who is admitted, what each target pass checks and how much of a prompt it
/// reads, who makes room for whom, what is drafted locally, which workers draft for which sessions, what is done about
/// engines and workers that fail.
///
/// A value without clock, I/O or threads. There is one way in: `handle` takes an event and says what to do about it.
/// The actor of the runtime, the simulator and the fault runs all drive this same value, so what the one shows holds
/// for the others.
///
/// A driver keeps three promises. Actions for one engine are carried out in their order, one after the other. Every
/// `verify`, `draftLocally` and `release` is answered, once. Time never runs backwards.
///
/// The work is done by values of their own, each with its own state: `Admission` (who runs, whose cells are claimed),
/// `SessionMachine` (one generation), `WorkerPool` (who drafts for whom), `PassHealth` (what to do about passes that
/// fail). What is here is how they meet.
public struct ServingMachine: Sendable {
  public struct Configuration: Sendable {
    /// Tokens that a session may hold, and kinds of tokens there are.
    public var contextLength: Int
    public var vocabularySize: Int
    /// Cells of the target's cache, over all sessions: tokens, guesses included.
    public var cells: Int
    /// See `Admission.Configuration.headroom`.
    public var headroom: Int
    /// Branches of trees that the target's cache can tell apart: every session needs one, and each leaf of its
    /// tree beyond the first another.
    public var branches: Int
    /// Whether the target takes over what a text has in common with one that it has read.
    public var sharesPrefixes: Bool
    /// Sessions that run at once, at most. The branches bound it as well.
    public var maxSessions: Int
    /// Requests that wait, at most; further ones are refused.
    public var maxWaiting: Int
    /// Tokens of prompts in one pass while other sessions are being decoded. Larger reads prompts faster, smaller
    /// keeps the others' tokens coming.
    public var prefillChunk: Int
    /// Whether the controller has a draft model of its own.
    public var hasLocalDraft: Bool
    /// Share of the answers, 0...1, that the target decides once more, alone, when it has time.
    public var auditShare: Double
    public var pool: WorkerPool.Configuration

    public init(
      contextLength: Int, vocabularySize: Int, cells: Int = .max, headroom: Int = 64, branches: Int = .max,
      sharesPrefixes: Bool = true, maxSessions: Int = .max, maxWaiting: Int = 1024, prefillChunk: Int = 512,
      hasLocalDraft: Bool = false,
      auditShare: Double = 0, pool: WorkerPool.Configuration = WorkerPool.Configuration()
    ) {
      self.contextLength = contextLength
      self.vocabularySize = vocabularySize
      self.cells = cells
      self.headroom = headroom
      self.branches = branches
      self.sharesPrefixes = sharesPrefixes
      self.maxSessions = maxSessions
      self.maxWaiting = maxWaiting
      self.prefillChunk = prefillChunk
      self.hasLocalDraft = hasLocalDraft
      self.auditShare = auditShare
      self.pool = pool
    }
  }

  public enum Event: Sendable {
    case request(ServingRequest)
    /// Nobody wants the text any more.
    case cancel(SessionID)
    case cancelAll
    /// From now on requests are refused.
    case stopAccepting
    case passEnded(PassReport)
    case passFailed(PassFailure)
    /// The target has freed what it held for a session.
    case released(SessionID)
    /// One distribution for each task, in order; `passTokens` as for `WorkerMachine.passFinished`.
    case localPassEnded([Distribution], duration: Duration, passTokens: Int)
    case localPassFailed(reason: String)
    case auditEnded(AuditReport)
    /// `roundTrip` where it has been measured already.
    case workerAttached(WorkerID, WorkerPool.Profile, roundTrip: Duration? = nil)
    case workerSaid(WorkerID, WorkerMessage)
    case roundTrip(WorkerID, Duration)
    /// It is about to leave and wants no more sessions.
    case workerDraining(WorkerID)
    case workerDetached(WorkerID, reason: String)
  }

  public enum Action: Sendable {
    /// Run the target once over these sessions; answer with `passEnded` or `passFailed`.
    case verify(TargetPass)
    /// Run the local draft model once over these nodes; answer with `localPassEnded` or `localPassFailed`.
    case draftLocally([DraftTask<SessionMachine.NodeID>])
    /// Free what the target and the local draft model hold for the session; answer with `released`.
    case release(SessionID)
    case send(ControllerMessage, to: WorkerID)
    /// End its attachment, which is forgotten already.
    case disconnect(WorkerID, name: String, reason: String)
    case refuse(SessionID, Refusal)
    /// The session runs, for the first time.
    case admitted(SessionID, queued: Duration)
    /// Tokens are decided: show them.
    case emit(SessionID, [SessionMachine.CommittedToken], SessionProgress)
    case note(SessionID, SessionNote)
    case placed(SessionID, on: WorkerID)
    case displaced(SessionID, from: WorkerID)
    case audit(AuditAction)
    /// Nothing follows this. What the engine held of the session is released before.
    case finish(SessionID, SessionSummary)
  }

  /// What is to be done about answers that are decided once more.
  public enum AuditAction: Sendable {
    /// Keep how this answer, which is about to end, was to be decided, until it is `found`.
    case keep(SessionID)
    /// Run the target over this piece, as the answer's request says but with nothing taken from another session's
    /// cache; answer with `auditEnded`.
    case pass(AuditPass)
    /// Forget all that the target has cached for this audit.
    case end(SessionID)
    /// An answer has been looked at, or will not be. It needs to be kept no longer.
    case found(AuditFinding)
  }

  public let configuration: Configuration
  var now = Timestamp.zero
  var sessions = SessionTable()
  var admission: Admission
  var pool: WorkerPool
  var estimates: SharedEstimates
  var health = PassHealth()
  var audits: AuditMachine
  /// The target pass under way, and that of the local draft model.
  var pass: PassUnderWay?
  var localPass: LocalPassUnderWay?
  /// Sessions whose settings allow drafting locally.
  var localDrafters = 0
  var isAccepting = true
  var lastPlacement = Timestamp.zero
  /// Who drafts for whom is to be decided anew.
  var needsPlacement = false
  /// Kept for its memory.
  var composer = PassComposer()

  /// - Parameters:
  ///   - targetCost: measured T(n)
  ///   - localCost: measured d(b) of the local draft model
  public init(
    configuration: Configuration, targetCost: CostCurve = CostCurve(), localCost: CostCurve = CostCurve()
  ) {
    self.configuration = configuration
    estimates = SharedEstimates(targetCost: targetCost, localCost: localCost)
    pool = WorkerPool(configuration: configuration.pool)
    audits = AuditMachine(share: configuration.auditShare)
    admission = Admission(
      configuration: Admission.Configuration(
        maxRunning: min(configuration.maxSessions, configuration.branches),
        maxWaiting: configuration.maxWaiting, cells: configuration.cells, headroom: configuration.headroom))
  }

  /// The one way in: what has happened, and when. Returns what to do, in order.
  public mutating func handle(_ event: Event, at time: Timestamp) -> [Action] {
    now = max(now, time)
    var actions: [Action] = []
    take(event, &actions)
    admitWaiting(&actions)
    if needsPlacement { placeSessions(&actions) }
    startTargetPass(&actions)
    startLocalPass(&actions)
    advanceAudits(&actions)
    return actions
  }

  private mutating func take(_ event: Event, _ actions: inout [Action]) {
    switch event {
    case .request(let request): take(request, &actions)
    case .cancel(let id): cancel(id, &actions)
    case .cancelAll: for id in sessions.ids { cancel(id, &actions) }
    case .stopAccepting: isAccepting = false
    case .passEnded(let report): passEnded(report, &actions)
    case .passFailed(let failure): passFailed(failure, &actions)
    case .released(let id): admission.released(id)
    case .localPassEnded(let distributions, let duration, let tokens):
      localPassEnded(distributions, duration: duration, passTokens: tokens)
    case .localPassFailed(let reason): localPassFailed(reason: reason, &actions)
    case .auditEnded(let report): auditEnded(report, &actions)
    case .workerAttached(let worker, let profile, let roundTrip):
      pool.join(worker, profile, at: now)
      if let roundTrip { pool.measured(worker, roundTrip: roundTrip) }
      needsPlacement = true
    case .workerSaid(let worker, let message): hear(message, from: worker, &actions)
    case .roundTrip(let worker, let sample): pool.measured(worker, roundTrip: sample)
    case .workerDraining(let worker):
      pool.drain(worker)
      needsPlacement = true
    case .workerDetached(let worker, let reason): detach(worker, reason: reason, &actions)
    }
  }
}

/// What all sessions of a controller learn together.
struct SharedEstimates: Sendable {
  /// T(n) of passes that read no prompts: those are not limited by the same part of the machine.
  var targetCost: CostCurve
  /// d(b) of the local draft model.
  var localCost: CostCurve
  /// How often the target chooses what drafts guess.
  var match = MatchEstimator()
}

/// One generation, from its request to its end.
struct ServedSession: Sendable {
  var machine: SessionMachine
  let usesWorkers: Bool
  let mayDraftAtLocal: Bool
  let requested: Timestamp
  /// nil while it has not run.
  var admitted: Timestamp?
  var firstToken: Timestamp?
  var lastToken: Timestamp?
  /// When a worker was first asked to draft for it, and when one first answered.
  var placed: Timestamp?
  var firstGuess: Timestamp?
  /// Tokens of its text that the target had in its cache already.
  var cachedTokens = 0
  private(set) var preemptions = 0
  /// Whether the target has read its text, but for the last tokens.
  private(set) var isRead = false
  /// When its last target pass ended, and see `SessionSummary.stepOverheads`.
  var passEnded: Timestamp?
  var stepOverheads: [Duration] = []

  /// A target pass over it has ended that took the engine so long.
  mutating func passEnded(at now: Timestamp, duration: Duration) {
    isRead = true
    if let before = passEnded { stepOverheads.append(before.duration(to: now) - duration) }
    passEnded = now
  }

  /// It gives its cells to others, and is read again later.
  mutating func preempted() {
    preemptions += 1
    isRead = false
  }

  var progress: SessionProgress {
    SessionProgress(statistics: machine.statistics, cachedPromptTokens: cachedTokens)
  }

  func summary(_ reason: SessionMachine.FinishReason) -> SessionSummary {
    SessionSummary(
      reason: reason, statistics: machine.statistics,
      promptTokens: machine.tokens.count - machine.statistics.tokens, cachedPromptTokens: cachedTokens,
      preemptions: preemptions, timeInQueue: requested.duration(to: admitted ?? requested),
      timeToFirstToken: firstToken.map { requested.duration(to: $0) },
      decodeTime: firstToken.flatMap { first in lastToken.map { first.duration(to: $0) } } ?? .zero,
      timeToFirstGuess: placed.flatMap { placed in firstGuess.map { placed.duration(to: $0) } },
      stepOverheads: stepOverheads)
  }
}
