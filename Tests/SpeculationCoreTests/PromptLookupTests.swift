import Simulator
import SpeculationCore
import SpeculationTesting
import SplitMix
import Testing

@Suite struct PromptLookupTests {
  /// Where the last tokens stood last before, found by looking everywhere.
  private func naive(_ text: [TokenID], _ path: [TokenID], limit: Int) -> (tokens: [TokenID], matched: Int) {
    let all = text + path
    guard all.count >= 2 else { return ([], 0) }
    for found in stride(from: text.count - 1, through: 2, by: -1)
    where text[found - 1] == all[all.count - 1] && text[found - 2] == all[all.count - 2] {
      var matched = 2
      while matched < PromptLookup.longestMatch, found - matched - 1 >= 0,
        text[found - matched - 1] == all[all.count - matched - 1]
      {
        matched += 1
      }
      return (Array(text[found..<min(found + limit, text.count)]), matched)
    }
    return ([], 0)
  }

  @Test func findsWhatFollowedLast() throws {
    try forEachSeed(count: 300) { seed in
      var random = SplitMix64(seed: seed)
      let vocabulary = TokenID(Int.random(in: 1...5, using: &random))
      func some(_ count: Int) -> [TokenID] {
        (0..<count).map { _ in TokenID.random(in: 0..<vocabulary, using: &random) }
      }
      var lookup = PromptLookup()
      var text: [TokenID] = []
      for _ in 0..<20 {
        text += some(Int.random(in: 0...6, using: &random))
        lookup.extend(to: text)
        let path = some(Int.random(in: 0...3, using: &random))
        let limit = Int.random(in: 1...5, using: &random)
        let found = lookup.guesses(after: text, path, limit: limit)
        let expected = naive(text, path, limit: limit)
        if Array(found.tokens) != expected.tokens || found.matched != expected.matched {
          throw CheckFailure("\(found) after \(text) and \(path), not \(expected)")
        }
      }
    }
  }

  @Test func nothingIsGuessedWithoutAMatchOrRoom() {
    var lookup = PromptLookup()
    #expect(lookup.guesses(after: [], [], limit: 3).tokens.isEmpty)
    lookup.extend(to: [1, 2, 3])
    #expect(lookup.guesses(after: [1, 2, 3], [], limit: 3).tokens.isEmpty)
    #expect(lookup.guesses(after: [1, 2, 3], [1, 2], limit: 0).tokens.isEmpty)
    #expect(lookup.guesses(after: [1, 2, 3], [1, 2], limit: 3).tokens == [3])
  }

  @Test func trustFollowsWhatWasSeen() {
    var lookup = PromptLookup()
    let lengths = PromptLookup.shortestMatch...PromptLookup.longestMatch + 3
    for (short, long) in zip(lengths, lengths.dropFirst()) {
      #expect(lookup.probability(matched: short) <= lookup.probability(matched: long))
    }
    let before = lookup.probability(matched: 3)
    for _ in 0..<200 { lookup.observe(matched: 3, wasRight: false) }
    #expect(lookup.probability(matched: 3) < before / 4)
    for _ in 0..<200 { lookup.observe(matched: 3, wasRight: true) }
    #expect(lookup.probability(matched: 3) > 0.9)
    for length in lengths { #expect((0...1).contains(lookup.probability(matched: length))) }
  }
}
