/// Guesses from the text itself ("prompt lookup"): what followed the last time that the same tokens were written.
///
/// They cost no forward pass, need no worker, and are right where a text repeats itself or its prompt: code,
/// quotations, names. How far one is trusted depends on how many tokens matched, by what was seen of earlier
/// ones.
///
/// After Saxena, "Prompt Lookup Decoding" (2023), which vLLM and llama.cpp call n-gram speculation. Appending is
/// O(1) a token, a look-up O(longest match + guesses).
package struct PromptLookup: Sendable {
  /// Fewer matching tokens than this are taken for chance.
  package static let shortestMatch = 2
  /// More matching tokens than this make a guess no surer.
  package static let longestMatch = 8

  /// Right and all guesses, by matching tokens; the first entries are what is assumed before any was seen.
  private var seen: [(right: Double, all: Double)]
  /// Position of the token that last followed a pair of tokens.
  private var following: [UInt64: Int] = [:]
  /// How many tokens are indexed as followers.
  private var indexed = 0

  package init() {
    seen = (0...Self.longestMatch).map { length in
      // Two tokens repeat by chance more often than not; six in a row are a quotation.
      (right: 4 * min(0.15 * Double(length), 0.9), all: 4)
    }
  }

  private static func key(_ first: TokenID, _ second: TokenID) -> UInt64 {
    UInt64(UInt32(bitPattern: first)) << 32 | UInt64(UInt32(bitPattern: second))
  }

  /// Takes in the tokens of a growing text that are new since the last call. O(new tokens).
  package mutating func extend(to text: [TokenID]) {
    // A pair is indexed once something follows it, so the end of the text never finds itself.
    var position = max(indexed, Self.shortestMatch)
    while position < text.count {
      following[Self.key(text[position - 2], text[position - 1])] = position
      position += 1
    }
    indexed = max(indexed, text.count)
  }

  /// What may follow.
  ///
  /// - Parameters:
  ///   - text: the text that was taken in
  ///   - path: guessed tokens after it
  ///   - limit: guesses at most
  /// - Returns: guesses in order, and how many tokens before the first one matched; none without a match.
  package func guesses(
    after text: [TokenID], _ path: [TokenID], limit: Int
  ) -> (tokens: ArraySlice<TokenID>, matched: Int) {
    let count = text.count + path.count
    guard count >= Self.shortestMatch, limit > 0 else { return ([], 0) }
    func token(_ position: Int) -> TokenID {
      position < text.count ? text[position] : path[position - text.count]
    }
    guard let found = following[Self.key(token(count - 2), token(count - 1))] else { return ([], 0) }
    var matched = Self.shortestMatch
    while matched < Self.longestMatch, found - matched > 0,
      text[found - matched - 1] == token(count - matched - 1)
    {
      matched += 1
    }
    return (text[found..<min(found + limit, text.count)], matched)
  }

  /// How likely the target is to choose a guess before which so many tokens matched, 0...1.
  package func probability(matched: Int) -> Float {
    let entry = seen[min(matched, Self.longestMatch)]
    return Float(entry.right / entry.all)
  }

  /// Learns from a guess that the target has decided on.
  package mutating func observe(matched: Int, wasRight: Bool) {
    let index = min(matched, Self.longestMatch)
    // Texts change: about fifty guesses are remembered.
    let keep = seen[index].all < 50 ? 1 : 0.98
    seen[index] = (seen[index].right * keep + (wasRight ? 1 : 0), seen[index].all * keep + 1)
  }
}
