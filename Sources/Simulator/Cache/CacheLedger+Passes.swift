import SpeculationCore

extension CacheLedger {
  /// One pass: evaluates what the requests lack in the cache.
  ///
  /// - Parameters:
  ///   - prefillBudget: tokens of prefixes to evaluate at most, the last one of each request apart. Requests are
  ///     served in their order; one whose prefix is still not all evaluated is to be asked again
  ///   - keepsGuesses: whether guesses that the requests do not mention stay for a later pass, as a draft's do
  /// - Returns: what was done for each request, in the same order.
  /// - Throws: why the pass was not done; nothing has changed then.
  /// - Complexity: O(tokens of the requests), and O(sessions) of them where a text is new.
  public mutating func run(
    _ requests: [Request], prefillBudget: Int = .max, keepsGuesses: Bool = false
  ) throws(Refusal) -> [Part] {
    try check(requests)
    let before = self
    passes += 1
    let ends = admit(requests, prefillBudget: prefillBudget, keepsGuesses: keepsGuesses)
    var parts: [Part] = []
    for (request, end) in zip(requests, ends) {
      let read = end.length - cachedTokens(of: request.session)
      append(request.prefix[..<end.length].suffix(read), to: request.session)
      let isComplete = end.length == request.prefix.count && request.readingLimit == nil
      let guessed = isComplete ? sessions[request.session]!.enter(request, pass: passes) : 0
      parts.append(Part(isComplete: isComplete, evaluated: read + guessed, reused: end.reused))
    }
    if let refusal = makeRoom(requests, needed: parts.reduce(0) { $0 + $1.evaluated }) {
      self = before
      throw refusal
    }
    return parts
  }

  /// Brings the caches to the requests' prefixes, and takes over what other sessions have of them.
  ///
  /// - Returns: for each request, how many tokens of its prefix are cached after the pass, and how many of them
  ///   are another session's.
  private mutating func admit(
    _ requests: [Request], prefillBudget: Int, keepsGuesses: Bool
  ) -> [(length: Int, reused: Int)] {
    var ends: [(length: Int, reused: Int)] = []
    var budget = max(0, prefillBudget)
    for request in requests {
      align(request, keepsGuesses: keepsGuesses)
      let length = request.prefix.count
      var cached = cachedTokens(of: request.session)
      let reused = length - cached > Self.leastShare ? takeOver(request) : 0
      cached += reused
      let missing = max(0, length - cached - 1)
      if let limit = request.readingLimit {
        ends.append((cached + min(missing, limit), reused))
      } else if missing > budget {
        ends.append((cached + budget, reused))
        budget = 0
      } else {
        ends.append((length, reused))
        budget -= missing
      }
    }
    return ends
  }

  /// Makes what is cached of a session the beginning of the request's prefix, guesses that came true included,
  /// and frees the guesses whose outputs are wanted again.
  private mutating func align(_ request: Request, keepsGuesses: Bool) {
    var cache = sessions.removeValue(forKey: request.session) ?? CachedSession()
    let confirmed = cache.align(to: request.prefix)
    sessions[request.session] = cache
    append(confirmed[...], to: request.session)
    sessions[request.session]!.freeWanted(request, keepsGuesses: keepsGuesses)
  }

  /// Appends tokens to what is cached of a session's text, in cells that are its own.
  private mutating func append(_ tokens: ArraySlice<TokenID>, to session: SessionID) {
    guard !tokens.isEmpty, var cache = sessions.removeValue(forKey: session) else { return }
    var run = cache.parts.last?.run
    if let last = run, isHeld(last) { run = nil }
    if run == nil { lastRun += 1 }
    cache.append(tokens, run: run ?? lastRun)
    sessions[session] = cache
  }

  private func isHeld(_ run: Int) -> Bool {
    sessions.values.contains { $0.holds(run) } || retained.contains { $0.holds(run) }
  }

  // MARK: Capacity

  /// Gives up what the pass does not need until everything fits.
  ///
  /// - Returns: why it does not fit; nil when it does.
  private mutating func makeRoom(_ requests: [Request], needed: Int) -> Refusal? {
    while true {
      let used = Self.usage(Array(sessions.values) + retained)
      if used.cells <= limits.cells && used.branches <= limits.branches { return nil }
      let cellsAreShort = used.cells > limits.cells
      if cellsAreShort || 2 * retained.count > limits.branches, freeOldestRetained() { continue }
      if freeOldestGuess() || freeOldestRetained() { continue }
      if used.branches > limits.branches {
        let own = requests.reduce(0) { $0 + sessions[$1.session]!.branches }
        return .branchesFull(needed: own, used: used.branches - own, capacity: limits.branches)
      }
      return .cellsFull(needed: needed, used: used.cells - needed, capacity: limits.cells)
    }
  }

  private mutating func freeOldestRetained() -> Bool {
    if retained.isEmpty { return false }
    retained.removeFirst()
    return true
  }

  /// Frees the guess that was of use the longest time ago, of those without guesses below them and not in use
  /// by the running pass.
  private mutating func freeOldestGuess() -> Bool {
    var oldest: (session: SessionID, guess: Int, lastUse: UInt64)?
    for session in sessions.keys.sorted() {
      guard let leaf = sessions[session]!.oldestLeaf, leaf.lastUse < passes else { continue }
      if oldest.map({ leaf.lastUse < $0.lastUse }) ?? true { oldest = (session, leaf.index, leaf.lastUse) }
    }
    guard let oldest else { return false }
    sessions[oldest.session]!.removeGuesses { $0 == oldest.guess }
    return true
  }
}

// MARK: Sharing

extension CacheLedger {
  /// Gives a session the cells that another one, open or released, has of its prefix, if that is worth it. The
  /// last token is always left to be evaluated, since outputs are not kept.
  ///
  /// - Returns: tokens that need not be evaluated now.
  private mutating func takeOver(_ request: Request) -> Int {
    guard limits.sharesPrefixes else { return 0 }
    let had = cachedTokens(of: request.session)
    let usable = request.prefix.count - 1
    var best = had + Self.leastShare - 1
    var source: CachedSession?
    // The latest first: it is the one to be kept longest.
    var released: Int?
    for index in retained.indices.reversed() {
      let common = min(usable, commonLength(retained[index].trunk, request.prefix))
      if common > best { (best, source, released) = (common, retained[index], index) }
    }
    for session in sessions.keys.sorted() where session != request.session {
      let common = min(usable, commonLength(sessions[session]!.trunk, request.prefix))
      if common > best { (best, source, released) = (common, sessions[session], nil) }
    }
    guard var source else { return 0 }
    if let released {
      let kept = retained.remove(at: released)
      // What would be left of it may not be worth a branch: then it is continued, not copied. Otherwise it is of
      // use again, and the last to go.
      if !sessions[request.session]!.isNew || kept.trunk.count - best >= Self.leastShare {
        retained.append(kept)
      }
    }
    source.truncate(to: best)
    sessions[request.session] = source
    return best - had
  }
}
