/// One likely next token and how likely it is.
public struct Candidate: Hashable, Sendable {
  public var token: TokenID
  /// The draft's confidence that the target will choose this token, in 0...1. For greedy sampling it is the
  /// draft's probability; under a temperature it is the softmax of the keyed scores (logit over temperature
  /// plus noise), which is what decides the choice on both sides.
  public var probability: Float

  public init(token: TokenID, probability: Float) {
    self.token = token
    self.probability = probability
  }
}

/// What one draft forward pass of one node says.
public struct Distribution: Hashable, Sendable {
  /// Shannon entropy of the whole next-token distribution at temperature 1, in nats.
  public var entropy: Float
  /// The most likely next tokens, best first, tokens distinct.
  public var candidates: [Candidate]

  public init(entropy: Float, candidates: [Candidate]) {
    self.entropy = entropy
    self.candidates = candidates
  }

  /// Of the first `limit` candidates those of at least `minProbability`. Mostly nothing is cut, and no array made.
  func candidates(_ limit: Int, minProbability: Float) -> [Candidate] {
    let first = candidates.prefix(limit)
    if first.allSatisfy({ $0.probability >= minProbability }) {
      return first.count == candidates.count ? candidates : Array(first)
    }
    var kept: [Candidate] = []
    kept.reserveCapacity(first.count)
    for candidate in first where candidate.probability >= minProbability { kept.append(candidate) }
    return kept
  }
}

/// A worker's name for a node that it announced as somebody's child: 1, 2, 3... per session, in the order of
/// announcement. Consecutive numbers let the controller tell an id it has not been told from one it pruned.
public typealias RemoteNodeID = UInt64

/// The node that an expansion belongs to.
public enum ExpansionSite: Hashable, Sendable {
  /// The last committed position the worker knew of, when it was never announced as a child.
  case root(position: Int)
  /// A node announced earlier.
  case node(RemoteNodeID)
}

/// A worker's report of one expanded node.
///
/// Its candidates get the ids `firstChild`, `firstChild + 1`... in order. A node is expanded again when a child that
/// was given up for lack of room has become likely; the candidates are then those that the worker does not have.
public struct Expansion: Hashable, Sendable {
  public var site: ExpansionSite
  public var firstChild: RemoteNodeID
  public var distribution: Distribution
  /// The position of the last commit the worker had applied when it sent this: its acknowledgement.
  public var knownPosition: Int
  /// Nodes announced earlier that the worker's tree has given up since it last said so, to make room: ascending ids,
  /// none of which it names again. Where a node has gone, so has all below it.
  public var forgotten: [RemoteNodeID] {
    get { someForgotten ?? [] }
    set { someForgotten = newValue.isEmpty ? nil : newValue }
  }
  /// nil for none, which is nearly always so and needs no reference counted.
  private var someForgotten: [RemoteNodeID]?

  public init(
    site: ExpansionSite, firstChild: RemoteNodeID, distribution: Distribution, knownPosition: Int,
    forgotten: [RemoteNodeID] = []
  ) {
    self.site = site
    self.firstChild = firstChild
    self.distribution = distribution
    self.knownPosition = knownPosition
    someForgotten = forgotten.isEmpty ? nil : forgotten
  }
}

/// What a controller tells a worker about a session.
public enum ControllerMessage: Hashable, Sendable {
  /// Draft for this session.
  case open(SessionID, Opening)
  /// The session's text goes on.
  case commit(SessionID, Commit)
  case close(SessionID)

  public struct Opening: Hashable, Sendable {
    /// Every token so far; the last one is the root.
    public var context: [TokenID]
    public var sampling: SamplingSettings
    /// Nodes that the worker's tree may hold, 16 or more; nil: the controller did not say, and a full tree only waits.
    public var maxNodes: Int?

    public init(context: [TokenID], sampling: SamplingSettings, maxNodes: Int? = nil) {
      self.context = context
      self.sampling = sampling
      self.maxNodes = maxNodes
    }
  }

  public struct Commit: Hashable, Sendable {
    /// Of the last of the tokens.
    public var position: Int
    /// What follows the last commit, or the opening context.
    public var tokens: [TokenID]
    /// Whether the worker follows the text without drafting until a commit without this: its guesses do not pay at
    /// present.
    public var pause: Bool

    public init(position: Int, tokens: [TokenID], pause: Bool = false) {
      self.position = position
      self.tokens = tokens
      self.pause = pause
    }
  }

  public var session: SessionID {
    switch self {
    case .open(let session, _), .commit(let session, _), .close(let session): session
    }
  }
}

/// What a worker tells a controller about a session.
public enum WorkerMessage: Hashable, Sendable {
  case expansion(SessionID, Expansion)
  /// The worker cannot draft for this session (its context is full, its engine failed). `reason` is for people.
  case declined(SessionID, reason: String)

  public var session: SessionID {
    switch self {
    case .expansion(let session, _), .declined(let session, _): session
    }
  }
}
