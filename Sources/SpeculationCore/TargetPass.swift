/// One pass of the target over several sessions.
public struct TargetPass: Sendable {
  public struct Part: Sendable {
    public var session: SessionID
    /// Every token of the session up to and including the root.
    public var prefix: [TokenID]
    public var set: SessionMachine.VerificationSet
  }

  /// In the order in which their prompts are to be read.
  public var parts: [Part]
  /// Tokens of prefixes that the pass may read beyond the last one of each, so that a long prompt does not hold up
  /// the others.
  public var prefillBudget: Int
}

/// What came of a target pass.
public struct PassReport: Sendable {
  public struct Part: Sendable {
    /// The choice after the root, then after each node of the set, in order. None at all where the budget was used
    /// up before the session's prefix was read.
    public var verdicts: [SessionMachine.Verdict]
    /// Tokens of the prefix that were found in the cache of another session instead of being computed.
    public var reusedPrefix: Int

    public init(verdicts: [SessionMachine.Verdict], reusedPrefix: Int = 0) {
      self.verdicts = verdicts
      self.reusedPrefix = reusedPrefix
    }
  }

  /// One for each part of the pass, in order.
  public var parts: [Part]
  /// How long the engine computed.
  public var duration: Duration
  /// New tokens that the pass ran through the model, prefill included.
  public var tokens: Int

  public init(parts: [Part], duration: Duration, tokens: Int) {
    self.parts = parts
    self.duration = duration
    self.tokens = tokens
  }
}

/// Why a target pass failed. It has changed nothing.
public struct PassFailure: Sendable {
  public enum Kind: Hashable, Sendable {
    /// The cache had no room for it.
    case cacheFull
    case engine
  }

  public var kind: Kind
  public var reason: String

  public init(_ kind: Kind, reason: String) {
    self.kind = kind
    self.reason = reason
  }
}

/// The target pass under way.
struct PassUnderWay: Sendable {
  /// Sessions in it, with the guesses of each that it checks.
  var members: [(session: SessionID, guesses: Int)]
  var guesses: Int

  /// Tokens that it runs through the model where no prompt is read.
  var tokens: Int { members.count + guesses }
}

/// What is done about target passes that fail.
///
/// One of several sessions may be to blame, for all that is known: each is tried alone, so that only that one fails.
struct PassHealth: Sendable {
  /// Sessions of a failed pass that are to be tried alone, in order.
  private var retries: [SessionID] = []
  /// Passes over single sessions that failed one after the other.
  private var failures = 0
  /// Why the engine counts as broken; nil while it works.
  private(set) var failure: String?
  /// Nobody verifies guesses for so many passes: the cache had no room for them.
  private var plainPasses = 0

  private static let failuresOfABrokenEngine = 3
  private static let plainPassesAfterAFullCache = 8

  var nextRetry: SessionID? { retries.first }
  var allowsGuesses: Bool { plainPasses == 0 }

  mutating func passEnded() {
    failures = 0
    failure = nil
    plainPasses = max(0, plainPasses - 1)
  }

  mutating func retryAlone(_ sessions: some Sequence<SessionID>) {
    for session in sessions where !retries.contains(session) { retries.append(session) }
  }

  mutating func forget(_ session: SessionID) { retries.removeAll { $0 == session } }

  mutating func singleFailed(reason: String) {
    failures += 1
    if failures >= Self.failuresOfABrokenEngine { failure = reason }
  }

  mutating func cacheWasFull() { plainPasses = Self.plainPassesAfterAFullCache }
}
