import SpeculationCore

/// Guessed tokens below a root, in an order in which every parent precedes its children.
public struct DraftTree: Hashable, Sendable {
  /// Token of each node.
  public var tokens: [TokenID]
  /// Index of each node's parent in `tokens`; -1 for a child of the root.
  public var parents: [Int32]

  public init(tokens: [TokenID] = [], parents: [Int32] = []) {
    precondition(tokens.count == parents.count, "a draft tree needs one parent for each token")
    self.tokens = tokens
    self.parents = parents
  }

  public var count: Int { tokens.count }
}

/// One session's part of a target pass.
public struct VerificationRequest: Sendable {
  public var session: SessionID
  /// Every token of the session up to and including the root. It repeats what earlier requests of the session
  /// said and extends it; an engine finds by comparison what it has cached, so that a stateless engine behind
  /// a network can serve the same request.
  public var prefix: [TokenID]
  public var draft: DraftTree
  public var sampling: SamplingSettings

  public init(session: SessionID, prefix: [TokenID], draft: DraftTree, sampling: SamplingSettings) {
    self.session = session
    self.prefix = prefix
    self.draft = draft
    self.sampling = sampling
  }
}

/// The target's choice after one node.
public struct TargetChoice: Hashable, Sendable {
  public var token: TokenID
  /// How far the chosen token's score is above the runner-up's: logits for greedy sampling, keyed scores
  /// (logit over temperature plus noise) otherwise. Smaller when top-k, top-p or min-p nearly cut the chosen
  /// token, or nearly kept one with a better score. A value near 0 is a near-tie: another batch shape may
  /// round it the other way.
  public var margin: Float

  public init(token: TokenID, margin: Float) {
    self.token = token
    self.margin = margin
  }
}

/// `choices[0]` follows the root, `choices[i + 1]` follows node `i` of the request's draft tree.
public struct VerificationResult: Sendable {
  public var session: SessionID
  public var choices: [TargetChoice]

  public init(session: SessionID, choices: [TargetChoice]) {
    self.session = session
    self.choices = choices
  }
}

/// One finished pass of an engine.
public struct PassResult<Result: Sendable>: Sendable {
  public var results: [Result]
  /// Time the engine computed, queueing before it apart.
  public var duration: Duration
  /// New tokens that the pass ran through the model (prefill included).
  public var tokens: Int

  public init(results: [Result], duration: Duration, tokens: Int) {
    self.results = results
    self.duration = duration
    self.tokens = tokens
  }
}

/// The model that decides. One pass verifies the trees of several sessions.
///
/// Implementations: an engine in this process, or an adapter to one behind a network. Calls from several
/// tasks are queued and run one after the other.
public protocol TargetModel: Sendable {
  var model: ModelDescription { get }

  /// - Returns: one result for each request, in the same order.
  /// - Throws: `ModelError`. A failed pass leaves the sessions as they were before.
  func verify(_ requests: [VerificationRequest]) async throws -> PassResult<VerificationResult>

  /// Forget a session and free what was cached for it. Unknown sessions are ignored.
  func release(_ session: SessionID) async
}
