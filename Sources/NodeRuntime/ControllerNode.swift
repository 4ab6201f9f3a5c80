import Logging
import ModelBackend
import SpeculationCore

/// Runs generations beside the target model: interprets the actions of the controller machines, of the admission
/// and of the worker pool.
///
/// All sessions share one target; whatever is ready when a pass ends goes into the next one together. Model
/// calls run on the engines' own threads; this actor only decides.
public actor ControllerNode {
  public struct Configuration: Sendable {
    /// Sessions that run at once, at most. The engine's branches bound it as well.
    public var maxSessions: Int
    /// Requests that wait, at most; further ones are refused.
    public var maxWaiting: Int
    /// Tokens of prompts in one pass while other sessions are being decoded. Larger reads prompts faster, smaller
    /// keeps the others' tokens coming.
    public var prefillChunk: Int
    public var pool: WorkerPool.Configuration

    public init(
      maxSessions: Int = .max, maxWaiting: Int = 1024, prefillChunk: Int = 512,
      pool: WorkerPool.Configuration = WorkerPool.Configuration()
    ) {
      self.maxSessions = maxSessions
      self.maxWaiting = maxWaiting
      self.prefillChunk = prefillChunk
      self.pool = pool
    }
  }

  let target: any TargetModel
  let home: (any DraftModel)?
  let transport: (any WorkerTransport)?
  let log: Logger
  let observer: (any NodeObserver)?
  let configuration: Configuration
  /// Branches of token trees that the engine can tell apart, over all sessions.
  let branches: Int

  var targetCost: CostCurve
  var homeCost: CostCurve
  var match = MatchEstimator()
  private var nextSession: UInt64 = 1
  var sessions: [SessionID: Running] = [:]
  var admission: Admission
  /// What the running sessions put into the next pass, summed up.
  var planned = PassLoad.none

  /// Attached workers in the order in which they came.
  var workers: [WorkerID] = []
  var workerNames: [WorkerID: String] = [:]
  var roundTrips: [WorkerID: RoundTripEstimator] = [:]
  var pool: WorkerPool
  var lastRebalance = Timestamp.zero
  var attachmentWaiters: [CheckedContinuation<Void, Never>] = []

  /// Requests that wait for the target.
  var waiting: [VerificationRequest] = []
  /// Requests of a failed pass: each runs alone, so that only the one that is to blame fails.
  var suspects: [VerificationRequest] = []
  var isTargetBusy = false
  /// Passes that failed one after the other.
  var failedPasses = 0
  var engineFailure: String?

  private var isAccepting = true

  /// - Parameters:
  ///   - home: the controller's own draft model, if it has one
  ///   - targetCost: measured T(n)
  ///   - homeCost: measured d(b) of `home`
  ///   - transport: how to reach workers; nil when there can be none
  ///   - observer: hears of everything that happens
  public init(
    target: any TargetModel, home: (any DraftModel)? = nil, targetCost: CostCurve = CostCurve(),
    homeCost: CostCurve = CostCurve(), transport: (any WorkerTransport)? = nil,
    configuration: Configuration = Configuration(),
    log: Logger = Logger(label: "wanspec.controller"), observer: (any NodeObserver)? = nil
  ) {
    self.target = target
    self.home = home
    self.targetCost = targetCost
    self.homeCost = homeCost
    self.transport = transport
    self.configuration = configuration
    self.log = log
    self.observer = observer
    let capacity = target.cacheCapacity
    branches = capacity.branches
    pool = WorkerPool(configuration: configuration.pool)
    admission = Admission(
      configuration: Admission.Configuration(
        maxRunning: min(configuration.maxSessions, capacity.branches), maxWaiting: configuration.maxWaiting,
        cacheTokens: capacity.tokens))
  }

  // MARK: Generations

  /// Starts a generation, at once or when there is room. Ending the iteration early cancels it.
  public func generate(_ request: GenerationRequest) -> AsyncThrowingStream<GenerationEvent, any Error> {
    let requested = MonotonicClock.now()
    let id = SessionID(nextSession)
    nextSession += 1
    let (stream, output) = AsyncThrowingStream<GenerationEvent, any Error>.makeStream()
    guard isAccepting else {
      output.finish(throwing: GenerationError(.shuttingDown, "the server is about to stop"))
      return stream
    }
    if let problem = problem(with: request) {
      output.finish(throwing: problem)
      return stream
    }
    let decision = admission.request(id, tokens: request.prompt.count, at: requested)
    if case .refused(let retryAfter) = decision {
      output.finish(
        throwing: GenerationError(
          .overloaded(retryAfter: retryAfter),
          "\(admission.waitingCount) requests wait already, which is the limit; try again later"))
      return stream
    }
    sessions[id] = Running(
      machine: SessionMachine(
        session: id, prompt: request.prompt, sampling: request.sampling,
        configuration: SessionMachine.Configuration(
          request.speculation, vocabularySize: target.model.vocabulary.size,
          contextLength: target.model.contextLength, maxTokens: request.maxTokens,
          endTokens: request.ignoresEnd ? [] : target.model.endTokens),
        targetCost: targetCost, homeCost: home == nil ? nil : homeCost, match: match),
      output: output, usesWorkers: request.speculation.usesWorkers, requested: requested,
      grammar: request.grammar.map { Grammar($0, promptLength: request.prompt.count) },
      logprobs: request.logprobs)
    output.onTermination = { [weak self] reason in
      guard case .cancelled = reason, let self else { return }
      Task { await self.cancel(id) }
    }
    observer?.observe(.requested(id, at: requested, promptTokens: request.prompt.count))
    if decision == .admitted { begin(id, at: requested) }
    return stream
  }

  /// A session that has been admitted starts, or goes on after it had to make room.
  private func begin(_ id: SessionID, at now: Timestamp) {
    guard sessions[id] != nil else { return }
    if sessions[id]!.hasStarted {
      sessions[id]!.isToBeHeld = false
      if let request = sessions[id]!.held.take() { waiting.append(request) }
      startTargetPass()
      return
    }
    sessions[id]!.hasStarted = true
    let queued = sessions[id]!.requested.duration(to: now)
    sessions[id]!.timeInQueue = queued
    observer?.observe(.admitted(id, at: now, queued: queued))
    sessions[id]!.machine.advance(to: now)
    plan(1, expected: 1, for: id)
    if sessions[id]!.usesWorkers {
      pool.begin(id)
      placeSessions(at: now)
    }
    shareLoad(with: id)
    perform(sessions[id]!.machine.start(), for: id)
  }

  func admitWaiting() {
    let now = MonotonicClock.now()
    for id in admission.admitWaiting(at: now) { begin(id, at: now) }
  }

  private func problem(with request: GenerationRequest) -> GenerationError? {
    let context = target.model.contextLength
    if request.prompt.isEmpty { return GenerationError(.invalidRequest, "the prompt is empty") }
    if request.prompt.count >= context {
      return GenerationError(
        .invalidRequest,
        "the prompt has \(request.prompt.count) tokens, the context holds \(context): shorten the prompt or"
          + " raise the context size")
    }
    if let problem = request.sampling.problem ?? request.outputProblem {
      return GenerationError(.invalidRequest, problem)
    }
    if request.maxTokens < 1 {
      return GenerationError(.invalidRequest, "at least one token must be asked for")
    }
    let size = target.model.vocabulary.size
    if let bad = request.prompt.first(where: { $0 < 0 || $0 >= size }) {
      return GenerationError(
        .invalidRequest, "token \(bad) of the prompt is not in the target's vocabulary of \(size)")
    }
    return nil
  }

  // MARK: Ending

  /// Takes no more requests; those that run or wait go on.
  public func stopAccepting() {
    isAccepting = false
  }

  /// Ends every generation as it stands.
  public func cancelAll() {
    for id in sessions.keys.sorted() { cancel(id) }
  }

  private func cancel(_ id: SessionID) {
    guard sessions[id] != nil else { return }
    perform(sessions[id]!.machine.cancel(), for: id)
  }

  func finish(_ id: SessionID, _ reason: SessionMachine.FinishReason) {
    guard sessions[id] != nil else { return }
    reportTallies(of: id, tokens: 0)
    plan(0, expected: 0, for: id)
    let session = sessions.removeValue(forKey: id)!
    waiting.removeAll { $0.session == id }
    suspects.removeAll { $0.session == id }
    let now = MonotonicClock.now()
    pool.end(id)
    admission.ended(id, at: now)
    (_, homeCost, match) = session.machine.learned
    let summary = session.summary(reason)
    observer?.observe(.finished(id, at: now, summary))
    Task { [target, home] in
      await target.release(id)
      await home?.release(id)
      // Only now: whoever starts the next generation on seeing the end finds the cells free.
      if case .failed(let why) = reason {
        session.output.finish(throwing: GenerationError(.engineFailed, why))
      } else {
        session.output.yield(.finished(summary))
        session.output.finish()
      }
    }
    admitWaiting()
    // A worker may have a place again.
    if session.usesWorkers { placeSessions(at: now) }
  }

  // MARK: Status

  public func status() -> NodeStatus {
    var status = NodeStatus()
    status.running = admission.runningCount
    status.waiting = admission.waitingCount
    status.cacheTokens = admission.claimed
    status.cacheCapacity = admission.configuration.cacheTokens
    status.isAccepting = isAccepting
    status.engineFailure = engineFailure
    status.workers = workers.map(describe)
    return status
  }
}
