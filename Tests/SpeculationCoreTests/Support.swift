import SpeculationCore
import SpeculationTesting

func configuration(
  localPolicy: LocalDraftPolicy = .never, schedule: LocalDraftSchedule = .overlapped,
  verification: VerificationPolicy = VerificationPolicy(
    rule: .everything, maxNodes: 8, minPathProbability: 0),
  maxTokens: Int = 50, contextLength: Int = 100, maxTreeNodes: Int = 2048
) -> SessionMachine.Configuration {
  SessionMachine.Configuration(
    verification: verification, localPolicy: localPolicy, localSchedule: schedule, maxTreeNodes: maxTreeNodes,
    maxCandidates: 4, vocabularySize: 100, contextLength: contextLength, maxTokens: maxTokens, endTokens: [0])
}

func controller(
  prompt: [TokenID] = [10, 11], hasLocal: Bool = false, targetCost: CostCurve = CostCurve(),
  _ configuration: SessionMachine.Configuration = configuration()
) -> DrivenSession {
  DrivenSession(
    machine: SessionMachine(
      session: SessionID(1), prompt: prompt, sampling: .greedy, configuration: configuration,
      hasLocalDraft: hasLocal),
    targetCost: targetCost)
}

/// One session with a target and a local draft model of its own: every pass begins as soon as it can.
struct DrivenSession {
  enum Action {
    case verify(prefix: [TokenID], SessionMachine.VerificationSet)
    case draftLocally([DraftTask<SessionMachine.NodeID>])
    case session(SessionMachine.Action)
  }

  var machine: SessionMachine
  var targetCost: CostCurve
  var localCost = CostCurve()
  var match = MatchEstimator()
  private var now = Timestamp.zero
  private var guesses = 0
  private var localNodes: [SessionMachine.NodeID] = []

  init(machine: SessionMachine, targetCost: CostCurve) {
    self.machine = machine
    self.targetCost = targetCost
  }

  var isFinished: Bool { machine.isFinished }
  var brokenInvariant: String? { machine.brokenInvariant }
  var treeCount: Int { machine.treeCount }
  var statistics: SessionStatistics { machine.statistics }
  func mirrored(from worker: WorkerID) -> (live: [RemoteNodeID: [TokenID]], behind: [RemoteNodeID: Int])? {
    machine.mirrored(from: worker)
  }

  mutating func advance(to time: Timestamp) { now = max(now, time) }
  mutating func start() -> [Action] { goOn(machine.start()) }
  mutating func workerJoined(_ worker: WorkerID, roundTrip: Duration? = nil) -> [Action] {
    machine.workerJoined(worker, roundTrip: roundTrip, at: now).map { .session($0) }
  }
  mutating func workerLeft(_ worker: WorkerID) -> [Action] {
    machine.workerLeft(worker)
    return []
  }
  mutating func receive(_ expansion: Expansion, from worker: WorkerID) -> [Action] {
    goOn(machine.receive(expansion, from: worker, match: match, at: now))
  }
  mutating func verified(
    _ verdicts: [SessionMachine.Verdict], duration: Duration, passTokens: Int
  ) -> [Action] {
    if machine.isFinished { return [] }
    if machine.statistics.steps > 0 { targetCost.observe(size: passTokens, duration: duration) }
    let cost = targetCost.seconds(for: 1 + guesses)
    let relative = cost.flatMap { cost in targetCost.seconds(for: 1).map { cost / $0 } }
    return goOn(machine.verified(verdicts, relativeCost: relative, match: &match, at: now))
  }
  mutating func verificationFailed(reason: String) -> [Action] {
    machine.isFinished ? [] : goOn(machine.failed(reason: reason))
  }
  mutating func localDrafted(
    _ nodes: [SessionMachine.NodeID], _ distributions: [Distribution], duration: Duration
  ) -> [Action] {
    if machine.isFinished { return [] }
    localNodes = []
    localCost.observe(size: nodes.count, duration: duration)
    machine.localDrafted(nodes, distributions, match: match)
    return goOn([])
  }
  mutating func localDraftFailed() -> [Action] {
    if machine.isFinished { return [] }
    localNodes = []
    machine.localDraftFailed()
    return goOn([])
  }
  mutating func cancel() -> [Action] { goOn(machine.cancel()) }

  private mutating func goOn(_ decisions: [SessionMachine.Action]) -> [Action] {
    var actions = decisions.map { Action.session($0) }
    beginStep(&actions)
    guard localNodes.isEmpty, !machine.isFinished else { return actions }
    let outlook = SessionMachine.LocalOutlook(now: now, targetSeconds: targetCost.seconds(for: 1))
    let frontier = machine.localFrontier(outlook)
    beginStep(&actions)
    guard !frontier.isEmpty else { return actions }
    let width = machine.configuration.localLimits.width(
      probabilities: frontier.map(\.rank), cost: localCost, continuation: 0.8)
    localNodes = frontier.prefix(width).map(\.node)
    actions.append(.draftLocally(machine.beginLocalDraft(localNodes)))
    return actions
  }

  private mutating func beginStep(_ actions: inout [Action]) {
    guard machine.isReady else { return }
    machine.makeOffer(limit: .max)
    var composer = PassComposer()
    composer.add(
      machine.offer, slack: 1 << 20,
      takesEverything: machine.configuration.verification.rule == .everything)
    composer.choose(cost: targetCost, freeCells: 0, freeBranches: 1 << 20)
    guesses = composer.members[0].chosen
    let prefix = machine.tokens
    actions.append(.verify(prefix: prefix, machine.beginStep(verifying: guesses, at: now)))
  }
}

func guesses(_ entropy: Float, _ candidates: KeyValuePairs<TokenID, Float>) -> Distribution {
  Distribution(
    entropy: entropy, candidates: candidates.map { Candidate(token: $0.key, probability: $0.value) })
}

func verdicts(_ tokens: TokenID...) -> [SessionMachine.Verdict] {
  tokens.map { SessionMachine.Verdict(token: $0, margin: 1) }
}

extension DrivenSession.Action {
  /// The action in a word or two.
  var kind: String {
    switch self {
    case .verify(_, let set): "verify \(set.tokens.count)"
    case .draftLocally(let tasks): "draft \(tasks.count)"
    case .session(.send(.open, let worker)): "open \(worker.rawValue)"
    case .session(.send(.commit, let worker)): "commit \(worker.rawValue)"
    case .session(.send(.close, let worker)): "close \(worker.rawValue)"
    case .session(.emit(let tokens)): "emit \(tokens.count)"
    case .session(.disconnect(let worker, _)): "disconnect \(worker.rawValue)"
    case .session(.finish(.endOfText)): "finish endOfText"
    case .session(.finish(.length)): "finish length"
    case .session(.finish(.contextFull)): "finish contextFull"
    case .session(.finish(.cancelled)): "finish cancelled"
    case .session(.finish(.failed)): "finish failed"
    }
  }

  var set: SessionMachine.VerificationSet? { if case .verify(_, let set) = self { set } else { nil } }
  var localTasks: [DraftTask<SessionMachine.NodeID>]? {
    if case .draftLocally(let tasks) = self { tasks } else { nil }
  }
  var violation: String? {
    if case .session(.disconnect(_, let violation)) = self { violation.description } else { nil }
  }
  var committed: [SessionMachine.CommittedToken]? {
    if case .session(.emit(let tokens)) = self { tokens } else { nil }
  }
}

extension WorkerMachine.Action {
  var kind: String {
    switch self {
    case .expand(let tasks): "expand \(tasks.count)"
    case .send(.expansion(let id, _)): "expansion \(id.rawValue)"
    case .send(.declined(let id, _)): "declined \(id.rawValue)"
    case .read(let task): "read \(task.session.rawValue)"
    case .release(let id): "release \(id.rawValue)"
    case .discard(let id): "discard \(id.rawValue & (1 << 62 - 1))"
    }
  }
  var reading: ReadingTask? { if case .read(let task) = self { task } else { nil } }
  var tasks: [DraftTask<WorkerMachine.NodeID>]? { if case .expand(let tasks) = self { tasks } else { nil } }
  var expansion: Expansion? { if case .send(.expansion(_, let expansion)) = self { expansion } else { nil } }
}

func guesses(_ candidates: KeyValuePairs<TokenID, Float>) -> Distribution { guesses(0.5, candidates) }
