import SpeculationCore

/// The cache of a model engine without the model: what is cached of each session, what a pass has to evaluate,
/// and whether it fits. Scripted engines and fault runs keep one, so that they refuse what a real engine refuses.
///
/// The rules are those of `LlamaEngine`:
///
/// - Every cached token has one *cell*. Sessions that begin alike may have cells in common, which count once.
/// - Every session with cached tokens has one *branch*, and each leaf of its guesses beyond the first another.
/// - A request names the whole text of its session. What of it is cached is found by comparison; guesses that
///   came true are part of the text and need not be evaluated again.
/// - A pass that is short of cells gives up the texts of released sessions, those of use the longest time ago
///   first, then the oldest guesses that it does not need. One that is short of branches begins with the guesses
///   unless released sessions have most of the branches. No pass gives up the text of an open session.
/// - A pass that does not fit even so is refused and changes nothing.
///
/// A value without clock or randomness: equal calls give equal answers.
public struct CacheLedger: Hashable, Sendable {
  /// What the engine can hold.
  public struct Limits: Hashable, Sendable {
    /// Tokens over all sessions, guesses included.
    public var cells: Int
    /// Sessions, and leaves of their guesses beyond the first of each.
    public var branches: Int
    /// Tokens of one session, guesses apart.
    public var contextLength: Int
    /// Tokens are `0..<vocabularySize`.
    public var vocabularySize: Int
    /// Take what a text has in common with another's, open or released, from its cells, and keep released texts
    /// for that while nobody needs their room.
    public var sharesPrefixes: Bool

    public init(
      cells: Int = .max, branches: Int = .max, contextLength: Int = .max, vocabularySize: Int = .max,
      sharesPrefixes: Bool = true
    ) {
      self.cells = cells
      self.branches = branches
      self.contextLength = contextLength
      self.vocabularySize = vocabularySize
      self.sharesPrefixes = sharesPrefixes
    }
  }

  /// How full the cache is. What several sessions have in common counts once.
  public struct Usage: Hashable, Sendable {
    /// Tokens in the cache, those of released sessions included.
    public var cells = 0
    public var branches = 0
    /// Those of the cells that only released sessions have: free for whoever needs them.
    public var retainedCells = 0
    /// Released sessions that are kept; each has a branch.
    public var retainedSessions = 0

    public init(cells: Int = 0, branches: Int = 0, retainedCells: Int = 0, retainedSessions: Int = 0) {
      self.cells = cells
      self.branches = branches
      self.retainedCells = retainedCells
      self.retainedSessions = retainedSessions
    }
  }

  /// Tokens that a text must have in common with another to be worth a branch.
  public static let leastShare = 8

  public let limits: Limits
  var sessions: [SessionID: CachedSession] = [:]
  /// Texts of released sessions; the one of use the longest time ago first.
  var retained: [CachedSession] = []
  /// Passes that were done.
  public internal(set) var passes: UInt64 = 0
  var lastRun = 0

  public init(_ limits: Limits = Limits()) { self.limits = limits }

  /// Sessions that have not been released since their last pass, ascending.
  public var openSessions: [SessionID] { sessions.keys.sorted() }

  /// Tokens of a session's text that are cached; 0 for one that is not open.
  public func cachedTokens(of session: SessionID) -> Int { sessions[session]?.trunk.count ?? 0 }

  /// Guesses of a session that are cached; 0 for one that is not open.
  public func cachedGuesses(of session: SessionID) -> Int { sessions[session]?.guesses.count ?? 0 }

  /// O(sessions and their guesses).
  public var usage: Usage {
    let open = Self.usage(Array(sessions.values))
    let all = Self.usage(Array(sessions.values) + retained)
    return Usage(
      cells: all.cells, branches: all.branches, retainedCells: all.cells - open.cells,
      retainedSessions: retained.count)
  }

  static func usage(_ caches: [CachedSession]) -> (cells: Int, branches: Int) {
    var cells = 0
    var branches = 0
    // Whoever holds part of a run holds its beginning, so the longest part is the union of all.
    var runs: [Int: Int] = [:]
    for cache in caches {
      for part in cache.parts { runs[part.run] = max(runs[part.run, default: 0], part.count) }
      cells += cache.guesses.count
      branches += cache.branches
    }
    for length in runs.values { cells += length }
    return (cells, branches)
  }
}

// MARK: Releasing

extension CacheLedger {
  /// Forgets a session: its guesses are free, and its text, too, unless it is kept for a later session that begins
  /// alike. Unknown sessions are ignored. O(open and released sessions times what each has in common with it).
  public mutating func release(_ session: SessionID) {
    guard var cache = sessions.removeValue(forKey: session) else { return }
    guard limits.sharesPrefixes, cache.trunk.count >= Self.leastShare, !isCovered(cache.trunk) else { return }
    cache.guesses = []
    retained.removeAll { commonLength($0.trunk, cache.trunk) == $0.trunk.count }
    retained.append(cache)
  }

  /// Forgets a session and all that is cached for it. Unknown sessions are ignored.
  public mutating func discard(_ session: SessionID) { sessions[session] = nil }

  /// Whether another session has all of a text. A released one that has is of use again.
  private mutating func isCovered(_ text: [TokenID]) -> Bool {
    if sessions.values.contains(where: { commonLength($0.trunk, text) == text.count }) { return true }
    guard let index = retained.firstIndex(where: { commonLength($0.trunk, text) == text.count }) else {
      return false
    }
    retained.append(retained.remove(at: index))
    return true
  }
}
