import SpeculationCore

/// What a cache holds of one session: the beginning of its text, the *trunk*, and guesses below the trunk's end.
///
/// The trunk's cells belong to runs. A run is a row of cells that were evaluated one after the other; a session
/// holds the first so many of a run, so that others which begin alike can hold them, too.
struct CachedSession: Hashable, Sendable {
  struct Part: Hashable, Sendable {
    var run: Int
    var count: Int
  }

  struct Guess: Hashable, Sendable {
    var token: TokenID
    /// Index of the parent, which is below this one's; -1 below the trunk's end.
    var parent: Int
    /// Number of the pass that last needed it.
    var lastUse: UInt64
  }

  private(set) var trunk: [TokenID] = []
  /// In the order of the text; together as long as the trunk.
  private(set) var parts: [Part] = []
  var guesses: [Guess] = []
  /// Nothing was ever cached of it.
  private(set) var isNew = true

  /// O(guesses).
  var branches: Int {
    if trunk.isEmpty { return 0 }
    let inner = hasGuessBelow
    return max(1, guesses.indices.count { !inner[$0] })
  }

  func holds(_ run: Int) -> Bool { parts.contains { $0.run == run } }

  mutating func append(_ tokens: ArraySlice<TokenID>, run: Int) {
    trunk += tokens
    isNew = false
    if parts.last?.run == run {
      parts[parts.count - 1].count += tokens.count
    } else {
      parts.append(Part(run: run, count: tokens.count))
    }
  }

  /// Shortens the trunk and frees every guess.
  mutating func truncate(to count: Int) {
    guesses = []
    var surplus = trunk.count - count
    trunk.removeLast(surplus)
    while surplus > 0, let last = parts.last {
      if last.count > surplus {
        parts[parts.count - 1].count -= surplus
        return
      }
      surplus -= last.count
      parts.removeLast()
    }
  }

  /// Makes the trunk a beginning of `prefix`, and frees the guesses that are not below the end of `prefix`.
  ///
  /// - Returns: tokens of guesses that came true, and are now to be appended to the trunk.
  mutating func align(to prefix: [TokenID]) -> [TokenID] {
    let common = commonLength(trunk, prefix)
    if common < trunk.count {
      truncate(to: common)
      return []
    }
    var confirmed: [TokenID] = []
    var end = -1
    while common + confirmed.count < prefix.count,
      let next = child(of: end, token: prefix[common + confirmed.count])
    {
      confirmed.append(guesses[next].token)
      end = next
    }
    if common + confirmed.count < prefix.count {
      guesses = []
    } else if end >= 0 {
      keepBelow(end)
    }
    return confirmed
  }

  /// Frees the guesses that a request wants outputs of, with all below them, and with `keepsGuesses` false all.
  /// Where the output after the root is wanted and the root is cached, it is freed, too.
  mutating func freeWanted(_ request: CacheLedger.Request, keepsGuesses: Bool) {
    if trunk.count == request.prefix.count, request.isRootWanted {
      return truncate(to: trunk.count - 1)
    }
    if !keepsGuesses { return guesses = [] }
    // Places of the request's guesses here: -1 the root, nil not cached.
    var places: [Int?] = []
    var isFreed = [Bool](repeating: false, count: guesses.count)
    for (index, token) in request.tokens.enumerated() {
      let parent = Int(request.parents[index])
      let above: Int? = parent < 0 ? -1 : places[parent]
      let place = above.flatMap { child(of: $0, token: token) }
      if let place, request.isWanted[index] { isFreed[place] = true }
      places.append(place)
    }
    removeGuesses { isFreed[$0] }
  }

  /// Enters a request's guesses; the trunk is its prefix.
  ///
  /// - Returns: how many were not cached.
  mutating func enter(_ request: CacheLedger.Request, pass: UInt64) -> Int {
    var places: [Int] = []
    let before = guesses.count
    for (index, token) in request.tokens.enumerated() {
      let parent = Int(request.parents[index])
      let above = parent < 0 ? -1 : places[parent]
      if let place = child(of: above, token: token) {
        guesses[place].lastUse = pass
        places.append(place)
      } else {
        guesses.append(Guess(token: token, parent: above, lastUse: pass))
        places.append(guesses.count - 1)
      }
    }
    return guesses.count - before
  }

  // MARK: Guesses

  /// Of the guesses without others below them, the one that was of use the longest time ago.
  var oldestLeaf: (index: Int, lastUse: UInt64)? {
    let inner = hasGuessBelow
    var oldest: (index: Int, lastUse: UInt64)?
    for index in guesses.indices where !inner[index] {
      let lastUse = guesses[index].lastUse
      if oldest.map({ lastUse < $0.lastUse }) ?? true { oldest = (index, lastUse) }
    }
    return oldest
  }

  /// Frees guesses with all below them.
  mutating func removeGuesses(where isFreed: (Int) -> Bool) {
    // Where each guess goes; nil for those that are freed.
    var places: [Int?] = []
    var kept: [Guess] = []
    for (index, guess) in guesses.enumerated() {
      let above: Int? = guess.parent < 0 ? -1 : places[guess.parent]
      guard let above, !isFreed(index) else {
        places.append(nil)
        continue
      }
      places.append(kept.count)
      kept.append(Guess(token: guess.token, parent: above, lastUse: guess.lastUse))
    }
    guesses = kept
  }

  /// Keeps what is below a guess, as if that were the trunk's end.
  private mutating func keepBelow(_ end: Int) {
    var places: [Int?] = []
    var kept: [Guess] = []
    for guess in guesses {
      let above: Int? = guess.parent == end ? -1 : guess.parent < 0 ? nil : places[guess.parent]
      places.append(above.map { _ in kept.count })
      if let above { kept.append(Guess(token: guess.token, parent: above, lastUse: guess.lastUse)) }
    }
    guesses = kept
  }

  private func child(of parent: Int, token: TokenID) -> Int? {
    var index = parent + 1
    while index < guesses.count {
      if guesses[index].parent == parent && guesses[index].token == token { return index }
      index += 1
    }
    return nil
  }

  private var hasGuessBelow: [Bool] {
    var inner = [Bool](repeating: false, count: guesses.count)
    for guess in guesses where guess.parent >= 0 { inner[guess.parent] = true }
    return inner
  }
}
