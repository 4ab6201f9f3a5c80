import SpeculationCore

/// How often each token occurs in a text: what penalties ask of it.
public struct TokenCounts: Sendable {
  struct Count: Sendable {
    /// In the whole text, the prompt included.
    var total: Int32 = 0
    /// In the generated part alone.
    var generated: Int32 = 0
  }

  private(set) var counts: [TokenID: Count] = [:]

  /// O(text).
  ///
  /// - Parameter promptLength: tokens before this position are the prompt
  public init(text: [TokenID], promptLength: Int) {
    counts.reserveCapacity(min(text.count, 4096))
    for (position, token) in text.enumerated() { add(token, isGenerated: position >= promptLength) }
  }

  mutating func add(_ token: TokenID, isGenerated: Bool) {
    counts[token, default: Count()].total += 1
    if isGenerated { counts[token, default: Count()].generated += 1 }
  }

  mutating func remove(_ token: TokenID, isGenerated: Bool) {
    guard var count = counts[token] else { return }
    count.total -= 1
    if isGenerated { count.generated -= 1 }
    counts[token] = count.total > 0 ? count : nil
  }

  /// Calls `body` with the counts of the text and `path` behind it. O(path), `body` apart.
  ///
  /// - Parameter isGenerated: whether a token of the path, given by its index there, counts as generated
  mutating func with<Result>(
    path: [TokenID], isGenerated: (Int) -> Bool, _ body: (TokenCounts) throws -> Result
  ) rethrows -> Result {
    for (index, token) in path.enumerated() { add(token, isGenerated: isGenerated(index)) }
    defer { for (index, token) in path.enumerated() { remove(token, isGenerated: isGenerated(index)) } }
    return try body(self)
  }
}
