/// A set of tokens, one bit for each.
package struct TokenSet {
  private var words: [UInt64]

  init(vocabularySize: Int) { words = [UInt64](repeating: 0, count: (vocabularySize + 63) / 64) }

  package var isEmpty: Bool { words.allSatisfy { $0 == 0 } }

  package func contains(_ token: Int) -> Bool {
    token >> 6 < words.count && words[token >> 6] & (1 << UInt64(token & 63)) != 0
  }

  mutating func insert(_ token: Int) { set(token, true) }

  /// - Parameter token: one of the vocabulary
  mutating func set(_ token: Int, _ isMember: Bool) {
    let bit: UInt64 = 1 << UInt64(token & 63)
    if isMember { words[token >> 6] |= bit } else { words[token >> 6] &= ~bit }
  }
}
