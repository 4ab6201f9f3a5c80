import ConstrainedDecoding
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
  /// What the generated text has to follow.
  public var grammar: Grammar?
  /// How many of the likeliest tokens to report for each choice, beside the chosen one; nil reports nothing.
  public var logprobs: Int?
  /// Whether nothing may be taken over from another session's cache: all of the prefix is computed.
  public var readsAnew: Bool

  public init(
    session: SessionID, prefix: [TokenID], draft: DraftTree, sampling: SamplingSettings,
    grammar: Grammar? = nil, logprobs: Int? = nil, readsAnew: Bool = false
  ) {
    self.session = session
    self.prefix = prefix
    self.draft = draft
    self.sampling = sampling
    self.grammar = grammar
    self.logprobs = logprobs
    self.readsAnew = readsAnew
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
  /// Of the model itself: softmax of the logits before penalties, biases, grammar and temperature.
  public var logprobs: TokenLogprobs?

  public init(token: TokenID, margin: Float, logprobs: TokenLogprobs? = nil) {
    self.token = token
    self.margin = margin
    self.logprobs = logprobs
  }
}

/// How likely the model itself holds a chosen token and the likeliest ones (natural logarithms).
public struct TokenLogprobs: Hashable, Sendable {
  public struct Entry: Hashable, Sendable {
    public var token: TokenID
    public var logprob: Float

    public init(token: TokenID, logprob: Float) {
      self.token = token
      self.logprob = logprob
    }
  }

  public var chosen: Entry
  /// Best first; the chosen token is among them only where it is likely enough.
  public var top: [Entry]

  public init(chosen: Entry, top: [Entry]) {
    self.chosen = chosen
    self.top = top
  }
}

/// `choices[0]` follows the root, `choices[i + 1]` follows node `i` of the request's draft tree. No choices at all
/// mean that the pass's budget for prefixes was used up before this request's: ask again.
public struct VerificationResult: Sendable {
  public var session: SessionID
  public var choices: [TargetChoice]
  /// Tokens of the prefix that this pass took from another session's cache, which begins alike, instead of
  /// computing them. Over the passes of a session this adds up to what its prompt did not cost.
  public var reusedPrefix: Int

  public init(session: SessionID, choices: [TargetChoice], reusedPrefix: Int = 0) {
    self.session = session
    self.choices = choices
    self.reusedPrefix = reusedPrefix
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
public protocol TargetModel: Engine {
  /// - Parameter prefillBudget: tokens of prefixes that this pass may evaluate beyond the last one of each, so
  ///   that a long prompt does not hold up the others. Requests are served in their order; one whose prefix is
  ///   still not all evaluated gets a result without choices and is to be asked again.
  /// - Returns: one result for each request, in the same order.
  /// - Throws: `ModelError`. A failed pass leaves the sessions as they were before.
  func verify(
    _ requests: [VerificationRequest], prefillBudget: Int
  ) async throws -> PassResult<VerificationResult>

  /// What the cache can hold over all sessions.
  var cacheCapacity: CacheCapacity { get }
}

extension TargetModel {
  /// One pass without a limit on prefixes.
  public func verify(_ requests: [VerificationRequest]) async throws -> PassResult<VerificationResult> {
    try await verify(requests, prefillBudget: .max)
  }
}

/// The limits of an engine's cache, over all sessions.
public struct CacheCapacity: Hashable, Sendable {
  /// Tokens, guesses included.
  public var tokens: Int
  /// Branches: every session needs one, and each leaf of its tree beyond the first another.
  public var branches: Int
  /// Whether a text takes over what it has in common with one that is cached, instead of computing it.
  public var sharesPrefixes: Bool

  public init(tokens: Int, branches: Int, sharesPrefixes: Bool) {
    self.tokens = tokens
    self.branches = branches
    self.sharesPrefixes = sharesPrefixes
  }
}
