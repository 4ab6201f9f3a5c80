import SpeculationCore
import SpeculationTesting

func configuration(
  homePolicy: HomeDraftPolicy = .never, schedule: HomeDraftSchedule = .overlapped,
  verification: VerificationPolicy = VerificationPolicy(
    rule: .everything, maxNodes: 8, minPathProbability: 0),
  maxTokens: Int = 50, contextLength: Int = 100, maxTreeNodes: Int = 2048
) -> ControllerMachine.Configuration {
  ControllerMachine.Configuration(
    verification: verification, homePolicy: homePolicy, homeSchedule: schedule, maxTreeNodes: maxTreeNodes,
    maxCandidates: 4, vocabularySize: 100, contextLength: contextLength, maxTokens: maxTokens, endTokens: [0])
}

func controller(
  prompt: [TokenID] = [10, 11], hasHome: Bool = false, targetCost: CostCurve = CostCurve(),
  _ configuration: ControllerMachine.Configuration = configuration()
) -> ControllerMachine {
  ControllerMachine(
    session: SessionID(1), prompt: prompt, sampling: .greedy, configuration: configuration,
    targetCost: targetCost, homeCost: hasHome ? CostCurve() : nil)
}

func guesses(_ entropy: Float, _ candidates: KeyValuePairs<TokenID, Float>) -> Distribution {
  Distribution(
    entropy: entropy, candidates: candidates.map { Candidate(token: $0.key, probability: $0.value) })
}

func verdicts(_ tokens: TokenID...) -> [ControllerMachine.Verdict] {
  tokens.map { ControllerMachine.Verdict(token: $0, margin: 1) }
}

extension ControllerMachine.Action {
  /// The action in a word or two.
  var kind: String {
    switch self {
    case .verify(_, let set): "verify \(set.tokens.count)"
    case .draftAtHome(let tasks): "draft \(tasks.count)"
    case .send(.open, let worker): "open \(worker.rawValue)"
    case .send(.commit, let worker): "commit \(worker.rawValue)"
    case .send(.close, let worker): "close \(worker.rawValue)"
    case .emit(let tokens): "emit \(tokens.count)"
    case .disconnect(let worker, _): "disconnect \(worker.rawValue)"
    case .finish(.endOfText): "finish endOfText"
    case .finish(.length): "finish length"
    case .finish(.contextFull): "finish contextFull"
    case .finish(.cancelled): "finish cancelled"
    case .finish(.failed): "finish failed"
    }
  }

  var set: ControllerMachine.VerificationSet? {
    if case .verify(_, let set) = self { set } else { nil }
  }
  var homeTasks: [DraftTask<ControllerMachine.NodeID>]? {
    if case .draftAtHome(let tasks) = self { tasks } else { nil }
  }
  var violation: String? {
    if case .disconnect(_, let violation) = self { violation.description } else { nil }
  }
  var committed: [ControllerMachine.CommittedToken]? {
    if case .emit(let tokens) = self { tokens } else { nil }
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
