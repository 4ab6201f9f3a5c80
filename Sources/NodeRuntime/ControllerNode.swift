import ConstrainedDecoding
import Logging
import ModelBackend
import SpeculationCore

/// Runs generations beside the target model: interprets the actions of a `ServingMachine`, which decides, with real
/// engines, real time and real workers.
///
/// Model calls run on the engines' own threads, one at a time for each engine, in the order in which the machine
/// asked for them.
public actor ControllerNode {
  public struct Configuration: Sendable {
    /// Sessions that run at once, at most. The engine's branches bound it as well.
    public var maxSessions: Int
    /// Requests that wait, at most; further ones are refused.
    public var maxWaiting: Int
    /// Tokens of prompts in one pass while other sessions are being decoded. Larger reads prompts faster, smaller
    /// keeps the others' tokens coming.
    public var prefillChunk: Int
    /// Share of the answers, 0...1, that the target decides once more, alone, when it has time.
    public var auditShare: Double
    public var pool: WorkerPool.Configuration

    public init(
      maxSessions: Int = .max, maxWaiting: Int = 1024, prefillChunk: Int = 512, auditShare: Double = 0,
      pool: WorkerPool.Configuration = WorkerPool.Configuration()
    ) {
      self.maxSessions = maxSessions
      self.maxWaiting = maxWaiting
      self.prefillChunk = prefillChunk
      self.auditShare = auditShare
      self.pool = pool
    }
  }

  let target: any TargetModel
  let local: (any DraftModel)?
  let transport: (any WorkerTransport)?
  let log: Logger
  let observer: (any NodeObserver)?

  private(set) var machine: ServingMachine
  let targetQueue = EngineQueue()
  let localQueue = EngineQueue()
  private var nextSession: UInt64 = 1
  var outputs: [SessionID: GenerationOutput] = [:]
  /// Sessions whose cells the target has been asked to free, and has not yet.
  var releasing: Set<SessionID> = []
  /// How answers that are to be audited were to be decided.
  var audited: [SessionID: AuditedRequest] = [:]
  var attachmentWaiters: [CheckedContinuation<Void, Never>] = []

  /// - Parameters:
  ///   - local: the controller's own draft model, if it has one
  ///   - targetCost: measured T(n)
  ///   - localCost: measured d(b) of `local`
  ///   - transport: how to reach workers; nil when there can be none
  ///   - observer: hears of everything that happens
  public init(
    target: any TargetModel, local: (any DraftModel)? = nil, targetCost: CostCurve = CostCurve(),
    localCost: CostCurve = CostCurve(), transport: (any WorkerTransport)? = nil,
    configuration: Configuration = Configuration(),
    log: Logger = Logger(label: "wanspec.controller"), observer: (any NodeObserver)? = nil
  ) {
    self.target = target
    self.local = local
    self.transport = transport
    self.log = log
    self.observer = observer
    let capacity = target.cacheCapacity
    machine = ServingMachine(
      configuration: ServingMachine.Configuration(
        contextLength: target.model.contextLength, vocabularySize: target.model.vocabulary.size,
        cells: capacity.tokens, branches: capacity.branches, sharesPrefixes: capacity.sharesPrefixes,
        maxSessions: configuration.maxSessions,
        maxWaiting: configuration.maxWaiting, prefillChunk: configuration.prefillChunk,
        hasLocalDraft: local != nil, auditShare: configuration.auditShare, pool: configuration.pool),
      targetCost: targetCost, localCost: localCost)
  }

  /// The one way to the machine: tells it what happened, and does what it says.
  func tell(_ event: ServingMachine.Event) {
    perform(machine.handle(event, at: MonotonicClock.now()))
  }

  // MARK: Generations

  /// Starts a generation, at once or when there is room. Ending the iteration early cancels it.
  public func generate(_ request: GenerationRequest) -> AsyncThrowingStream<GenerationEvent, any Error> {
    let id = SessionID(nextSession)
    nextSession += 1
    let (stream, output) = AsyncThrowingStream<GenerationEvent, any Error>.makeStream()
    if let problem = request.outputProblem(target.capabilities) {
      output.finish(throwing: GenerationError(.invalidRequest, problem))
      return stream
    }
    outputs[id] = GenerationOutput(
      output, sampling: request.sampling,
      grammar: request.grammar,
      logprobs: request.logprobs)
    output.onTermination = { [weak self] reason in
      guard case .cancelled = reason, let self else { return }
      Task { await self.tell(.cancel(id)) }
    }
    let now = MonotonicClock.now()
    let actions = machine.handle(
      .request(
        ServingRequest(
          session: id, prompt: request.prompt, sampling: request.sampling, speculation: request.speculation,
          maxTokens: request.maxTokens, endTokens: request.ignoresEnd ? [] : target.model.endTokens)),
      at: now)
    let isRefused = actions.contains { if case .refuse(id, _) = $0 { true } else { false } }
    if !isRefused { observer?.observe(.requested(id, at: now, promptTokens: request.prompt.count)) }
    perform(actions)
    return stream
  }

  /// Takes no more requests; those that run or wait go on.
  public func stopAccepting() { tell(.stopAccepting) }

  /// Ends every generation as it stands.
  public func cancelAll() { tell(.cancelAll) }

  // MARK: Status

  public func status() -> NodeStatus {
    var status = NodeStatus()
    status.running = machine.runningCount
    status.waiting = machine.waitingCount
    status.cacheTokens = machine.claimedCells
    status.cacheCapacity = machine.configuration.cells
    status.preemptions = machine.preemptions
    status.isAccepting = machine.acceptsRequests
    status.engineFailure = machine.engineFailure
    status.workers = machine.attachedWorkers.compactMap(describe)
    return status
  }
}

/// Where a generation's tokens go, and what of it is no decision.
struct GenerationOutput {
  let events: AsyncThrowingStream<GenerationEvent, any Error>.Continuation
  let sampling: SamplingSettings
  let grammar: Grammar?
  let logprobs: Int?
  /// Of the tokens that the last pass decided.
  var newLogprobs: [TokenLogprobs] = []
  /// Set once it is over.
  var summary: SessionSummary?

  init(
    _ events: AsyncThrowingStream<GenerationEvent, any Error>.Continuation, sampling: SamplingSettings,
    grammar: Grammar?, logprobs: Int?
  ) {
    self.events = events
    self.sampling = sampling
    self.grammar = grammar
    self.logprobs = logprobs
  }
}
