import Gateway
import SpeculationTesting
import SplitMix
import Testing

struct StopMatcherTests {
  /// What is let through before each byte, found by looking at the whole text at every byte.
  func naive(_ text: [UInt8], _ stops: [[UInt8]]) -> (text: [UInt8], isStopped: Bool) {
    for end in 0...text.count {
      let found = stops.filter { !$0.isEmpty && text[..<end].suffix($0.count).elementsEqual($0) }
      if let longest = found.map(\.count).max() { return (Array(text[..<(end - longest)]), true) }
    }
    return (text, false)
  }

  @Test func agreesWithSearchingTheWholeTextHoweverItIsSplit() throws {
    try forEachSeed(count: 3_000) { seed in
      var random = SplitMix64(seed: seed)
      // Few letters, so that near misses and overlaps are frequent.
      func bytes(_ length: Int, _ random: inout SplitMix64) -> [UInt8] {
        (0..<length).map { _ in UInt8(97 + random.below(2 + Int(seed % 3))) }
      }
      let stops = (0..<random.below(4)).map { _ in bytes(1 + random.below(5), &random) }
      let text = bytes(random.below(40), &random)
      let expected = naive(text, stops)
      var matcher = StopMatcher(stops)
      var output: [UInt8] = []
      var at = 0
      while at < text.count {
        let length = 1 + random.below(4)
        output += matcher.append(Array(text[at..<min(text.count, at + length)]))
        at += length
        // Nothing is sent that a stop string could still take back.
        if !expected.text.starts(with: output) {
          throw CheckFailure("\(output) was sent, of \(expected.text); stops \(stops)")
        }
      }
      output += matcher.finish()
      if output != expected.text || matcher.isStopped != expected.isStopped {
        throw CheckFailure("\(output), \(matcher.isStopped) is not \(expected); text \(text), stops \(stops)")
      }
    }
  }

  @Test func holdsBackNoMoreThanItMust() {
    var matcher = StopMatcher([Array("END".utf8)])
    #expect(matcher.append(Array("abE".utf8)) == Array("ab".utf8))
    #expect(matcher.append(Array("Nx".utf8)) == Array("ENx".utf8))
    #expect(matcher.append(Array("EEN".utf8)) == Array("E".utf8))
    #expect(matcher.append(Array("Dmore".utf8)) == [])
    #expect(matcher.isStopped)
    #expect(matcher.finish() == [])
  }
}

extension SplitMix64 {
  fileprivate mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }
}
