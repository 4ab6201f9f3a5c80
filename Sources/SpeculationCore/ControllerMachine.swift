/// One session's decisions at the controller: what to verify, what to commit, when to draft at home, what to
/// tell the workers, what to do when they are late, wrong or gone.
///
/// A value without clock, I/O or threads. Every event is a method that changes the state and returns the actions
/// that the driver carries out in order; only a `verify` may be brought forward. No step ever waits for a worker:
/// with nothing to verify the target runs alone, which is plain decoding.
///
/// ```
/// idle --start--> drafting? --> verifying --verified--> drafting? --> verifying ... --> finished
/// ```
/// `drafting` is passed only under the schedule `beforeVerification` (the sequential baseline). Under
/// `overlapped` a home draft pass runs beside `verifying` and is tracked apart.
public struct ControllerMachine: Sendable {
  public struct Configuration: Sendable {
    public var verification: VerificationPolicy
    public var homePolicy: HomeDraftPolicy
    public var homeSchedule: HomeDraftSchedule
    public var homeLimits: DraftLimits
    /// Guesses in a row that are taken from the text itself (prompt lookup); 0: none.
    public var lookupLength: Int
    /// Speed against plain decoding below which nobody drafts for a while; 0: always draft.
    public var minGain: Double
    /// Nodes that the tree may hold for each who drafts, `DraftLimits.leastNodes` or more. Workers are told of it.
    public var maxTreeNodes: Int
    /// Candidates that one expansion may bring.
    public var maxCandidates: Int
    public var vocabularySize: Int
    /// Tokens that the session may hold: the target's context.
    public var contextLength: Int
    /// Stop after this many tokens.
    public var maxTokens: Int
    /// Tokens that end the text. They are committed, the last of the session.
    public var endTokens: [TokenID]

    public init(
      verification: VerificationPolicy = VerificationPolicy(), homePolicy: HomeDraftPolicy = .never,
      homeSchedule: HomeDraftSchedule = .overlapped, homeLimits: DraftLimits = DraftLimits(),
      lookupLength: Int = 0, minGain: Double = 0, maxTreeNodes: Int = 4096, maxCandidates: Int = 64,
      vocabularySize: Int,
      contextLength: Int,
      maxTokens: Int, endTokens: [TokenID]
    ) {
      self.verification = verification
      self.homePolicy = homePolicy
      self.homeSchedule = homeSchedule
      self.homeLimits = homeLimits
      self.lookupLength = lookupLength
      self.minGain = minGain
      self.maxTreeNodes = maxTreeNodes
      self.maxCandidates = maxCandidates
      self.vocabularySize = vocabularySize
      self.contextLength = contextLength
      self.maxTokens = maxTokens
      self.endTokens = endTokens
    }
  }

  public enum FinishReason: Hashable, Sendable {
    /// The target chose a token that ends the text.
    case endOfText
    /// `maxTokens` were committed.
    case length
    /// The target's context is full.
    case contextFull
    case cancelled
    case failed(String)
  }

  /// Who guessed a committed token first.
  public enum Origin: UInt8, Hashable, Sendable {
    case remote, home, target
    /// The text itself.
    case lookup
  }

  public struct CommittedToken: Hashable, Sendable {
    public var token: TokenID
    /// Index in the session's whole token sequence.
    public var position: Int
    public var origin: Origin
    /// The target's margin over its runner-up; see `TargetChoice` of the backend.
    public var margin: Float
  }

  /// Nodes for one target pass, every parent before its children.
  public struct VerificationSet: Hashable, Sendable {
    public var tokens: [TokenID]
    /// Index of each node's parent in `tokens`; -1 for children of the root.
    public var parents: [Int32]
  }

  /// The target's choice after one node, with its margin.
  public struct Verdict: Hashable, Sendable {
    public var token: TokenID
    public var margin: Float
    public init(token: TokenID, margin: Float) {
      self.token = token
      self.margin = margin
    }
  }

  public enum Action: Sendable {
    /// Run the target over the root and these nodes; answer with `verified` or `verificationFailed`.
    case verify(prefix: [TokenID], VerificationSet)
    /// Run the home draft model over these nodes; answer with `homeDrafted` or `homeDraftFailed`.
    case draftAtHome([DraftTask<NodeID>])
    case send(ControllerMessage, to: WorkerID)
    /// Tokens are decided: show them.
    case emit([CommittedToken])
    /// The worker broke the protocol: disconnect it.
    case disconnect(WorkerID, ProtocolViolation)
    /// Nothing follows this. Results of passes still under way are to be thrown away.
    case finish(FinishReason)
  }

  /// What the controller keeps for each node.
  public struct Note: Sendable {
    var origin: Origin
    /// What the draft said, before correction; nil while no draft model has guessed the node.
    var confidence: Float?
    /// For a guess from the text: how many tokens before it matched.
    var matched: Int?
    var names = RemoteNames()
    var isExpandedByWorker = false
    /// How likely, after the node, the likeliest child is that the tree had no room for; 0: it has all.
    var lost: Float = 0
    /// Some child was in a verification set.
    var hasVerifiedChild = false
    /// A worker's expansion of this node was of use.
    var helped: Bool { isExpandedByWorker && hasVerifiedChild }
  }
  public typealias NodeID = TokenTree<Note>.NodeID

  enum State: Sendable {
    case idle
    /// Drafting at home before the next verification.
    case drafting
    /// The target pass under way checks these nodes.
    case verifying([NodeID])
    case finished
  }

  public let session: SessionID
  public let configuration: Configuration
  public let sampling: SamplingSettings
  public internal(set) var statistics = SessionStatistics()
  /// Every token: the prompt and what was committed.
  public internal(set) var tokens: [TokenID]

  /// What other sessions put into the next pass; see `share(_:targetCost:)`.
  var load = PassLoad.none
  /// Tokens that the step under way can be expected to commit.
  public internal(set) var expectedCommits = 1.0
  /// What workers did since the driver last asked.
  var tallies = SmallDictionary<WorkerID, WorkerTally>()
  /// The driver's time at the event being handled; see `advance(to:)`.
  var now = Timestamp.zero
  /// When the step under way began.
  var stepBegan = Timestamp.zero
  /// When the root became the root, and workers were told of it.
  var rootMoved = Timestamp.zero
  var state = State.idle
  var tree: TokenTree<Note>
  /// Path probability of the likeliest node that was given up since the root moved; 0: none was.
  var floor = 0.0
  var workers = SmallDictionary<WorkerID, RemoteMirror>()
  var isHomeDrafting = false
  var homeIsUsable: Bool
  var targetCost: CostCurve
  var homeCost: CostCurve
  var match: MatchEstimator
  var continuation = ContinuationEstimate()
  var lookup = PromptLookup()
  var gate: SpeculationGate
  /// Root position at which the gate last opened: what workers send with less knowledge is no answer to it.
  var gateOpened: Int
  /// Home expansions since the root last moved: the length that `beforeVerification` counts.
  var draftedThisStep = 0

  /// - Parameters:
  ///   - prompt: at least one token
  ///   - targetCost: measured T(n)
  ///   - homeCost: measured d(b) of the home draft model; nil when there is none
  ///   - match: what earlier sessions learned
  public init(
    session: SessionID, prompt: [TokenID], sampling: SamplingSettings, configuration: Configuration,
    targetCost: CostCurve = CostCurve(), homeCost: CostCurve? = nil,
    match: MatchEstimator = MatchEstimator()
  ) {
    precondition(!prompt.isEmpty, "a session needs at least one token")
    precondition(sampling.problem == nil, sampling.problem!)
    precondition(configuration.homeLimits.problem == nil, configuration.homeLimits.problem!)
    self.session = session
    self.sampling = sampling
    self.configuration = configuration
    self.targetCost = targetCost
    self.homeCost = homeCost ?? CostCurve()
    self.match = match
    homeIsUsable = homeCost != nil
    gate = SpeculationGate(minGain: configuration.minGain)
    gateOpened = prompt.count - 1
    tokens = prompt
    tree = TokenTree(
      root: prompt.last!, position: prompt.count - 1, annotation: Note(origin: .target, confidence: 1))
  }

  public var isFinished: Bool {
    if case .finished = state { return true }
    return false
  }
  public var isVerifying: Bool {
    if case .verifying = state { return true }
    return false
  }
  /// Whether the worker may draft for this session: it has joined, and has neither left nor declined.
  public func hasWorker(_ worker: WorkerID) -> Bool { workers.contains(worker) }
  /// Nodes below the root.
  public var treeCount: Int { tree.count - 1 }
  /// What this session learned, for the next one to start from.
  public var learned: (targetCost: CostCurve, homeCost: CostCurve, match: MatchEstimator) {
    (targetCost, homeCost, match)
  }
}
