/// One session's decisions at the controller: what it offers to verify, what a pass commits, what is worth drafting
/// locally, what to tell the workers, what to do when they are late, wrong or gone.
///
/// A value without clock, I/O or threads, driven by `ServingMachine` alone, which owns the passes. Every event is a
/// method that changes the state and returns what follows from it. No step ever waits for a worker: with nothing to
/// verify the target runs alone, which is plain decoding.
///
/// ```
/// idle --start--> drafting? --> ready --beginStep--> verifying --verified--> drafting? --> ready ... --> finished
///                                 ^------ cutShort ------'
/// ```
/// `drafting` is passed only under the schedule `beforeVerification` (the sequential baseline). Under
/// `overlapped` a local draft pass runs beside `verifying` and is tracked apart. A session that is `ready` chooses
/// what to verify only when the pass begins, so nothing that arrives before is left out.
public struct SessionMachine: Sendable {
  public struct Configuration: Sendable {
    public var verification: VerificationPolicy
    public var localPolicy: LocalDraftPolicy
    public var localSchedule: LocalDraftSchedule
    public var localLimits: DraftLimits
    /// Guesses in a row that are taken from the text itself (prompt lookup); 0: none.
    public var lookupLength: Int
    /// Speed against plain decoding below which nobody drafts for a while; 0: always draft.
    public var minGain: Double
    /// Nodes that the tree may hold for each who drafts, `DraftLimits.treeSizes.lowerBound` or more. Workers are told of it.
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
      verification: VerificationPolicy = VerificationPolicy(), localPolicy: LocalDraftPolicy = .never,
      localSchedule: LocalDraftSchedule = .overlapped, localLimits: DraftLimits = DraftLimits(),
      lookupLength: Int = 0, minGain: Double = 0, maxTreeNodes: Int = 4096, maxCandidates: Int = 64,
      vocabularySize: Int,
      contextLength: Int,
      maxTokens: Int, endTokens: [TokenID]
    ) {
      self.verification = verification
      self.localPolicy = localPolicy
      self.localSchedule = localSchedule
      self.localLimits = localLimits
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
    case remote, local, target
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

    /// Where passes do not agree to the bit, margins below this may fall either way: bfloat16 keeps 8 bits, so logits
    /// around 20 come out of another batch shape up to about this much apart.
    public static let nearTieMargin: Float = 0.1

    public init(token: TokenID, margin: Float) {
      self.token = token
      self.margin = margin
    }
  }

  public enum Action: Sendable {
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
    /// Drafting locally before the next verification.
    case drafting
    /// The next target pass may take it.
    case ready
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

  /// What workers did since it was last asked.
  private(set) var tallies = SmallDictionary<WorkerID, WorkerTally>()
  /// When the step under way began.
  var stepBegan = Timestamp.zero
  /// When the root became the root, and workers were told of it.
  var rootMoved = Timestamp.zero
  /// The guesses offered for the next pass; kept for its memory.
  package internal(set) var offer = Offer()
  /// What the step under way was counted as.
  var stepKind = StepKind.drafted
  var state = State.idle
  var tree: TokenTree<Note>
  /// Path probability of the likeliest node that was given up since the root moved; 0: none was.
  var floor = 0.0
  var workers = SmallDictionary<WorkerID, RemoteMirror>()
  var isLocalDrafting = false
  var localIsUsable: Bool
  var continuation = ContinuationEstimate()
  var lookup = PromptLookup()
  var gate: SpeculationGate
  /// Root position at which the gate last opened: what workers send with less knowledge is no answer to it.
  var gateOpened: Int
  /// Local expansions since the root last moved: the length that `beforeVerification` counts.
  var draftedThisStep = 0

  /// - Parameters:
  ///   - prompt: at least one token
  ///   - hasLocalDraft: whether there is a local draft model
  public init(
    session: SessionID, prompt: [TokenID], sampling: SamplingSettings, configuration: Configuration,
    hasLocalDraft: Bool = false
  ) {
    precondition(!prompt.isEmpty, "a session needs at least one token")
    precondition(sampling.problem == nil, sampling.problem!)
    precondition(configuration.localLimits.problem == nil, configuration.localLimits.problem!)
    self.session = session
    self.sampling = sampling
    self.configuration = configuration
    localIsUsable = hasLocalDraft
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
  /// Whether it can be taken into a target pass.
  public var isReady: Bool {
    if case .ready = state { return true }
    return false
  }
  /// Whether the worker may draft for this session: it has joined, and has neither left nor declined.
  public func hasWorker(_ worker: WorkerID) -> Bool { workers.contains(worker) }
  /// Nodes below the root.
  public var treeCount: Int { tree.count - 1 }

  /// What each worker did for this session since this was last asked; workers that have left among them.
  mutating func takeTallies() -> [(worker: WorkerID, tally: WorkerTally)] {
    guard !tallies.isEmpty else { return [] }
    defer { tallies.removeAll() }
    return Array(zip(tallies.keys, tallies.values))
  }

  mutating func tally(_ worker: WorkerID, _ change: (inout WorkerTally) -> Void) {
    if let index = tallies.index(of: worker) {
      change(&tallies.values[index])
    } else {
      var tally = WorkerTally()
      change(&tally)
      tallies.append(worker, tally)
    }
  }
}

extension SessionMachine {
  /// What a session would have verified: its best nodes, parents first, so that any number of the first ones is a
  /// set of its own.
  package struct Offer: Sendable {
    /// Each with the index of its parent; -1 for the root.
    package var nodes: [(node: NodeID, parent: Int32)] = []
    /// Path probabilities of the nodes.
    package var probabilities: [Double] = []
  }

  enum StepKind: Sendable { case drafted, bubble, paused }
}
